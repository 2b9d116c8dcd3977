//! Where something stands in a JSON text.

/// The line, counted from 1, of what `path` names: object keys and list positions from the root
/// down. Where the path is not there, the line of the last part of it that is.
///
/// `json` must be a well-formed text (it has been parsed before); in any other the line is a guess.
pub(super) fn line_of(json: &str, path: &[String]) -> usize {
    let mut scanner = Scanner { bytes: json.as_bytes(), at: 0, found: 0 };
    scanner.value(Some(path));
    1 + json.as_bytes()[..scanner.found].iter().filter(|&&byte| byte == b'\n').count()
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the longest part of the path begins that was found.
    found: usize,
}

impl Scanner<'_> {
    /// Passes a value, and looks for the path in it if there is one.
    fn value(&mut self, path: Option<&[String]>) {
        let next = path.and_then(|path| path.split_first());
        match self.peek() {
            Some(b'{') => self.members(next, b'}'),
            Some(b'[') => self.members(next, b']'),
            Some(b'"') => {
                self.string();
            }
            _ => {
                while self.bytes.get(self.at).is_some_and(|byte| !b",]} \t\r\n".contains(byte)) {
                    self.at += 1;
                }
            }
        }
    }

    /// Passes the members of an object or list up to its closing bracket.
    fn members(&mut self, next: Option<(&String, &[String])>, close: u8) {
        self.at += 1;
        let mut position = 0;
        while let Some(byte) = self.peek() {
            if byte == close {
                self.at += 1;
                return;
            }
            if byte == b',' {
                self.at += 1;
                continue;
            }
            let start = self.at;
            let name = if close == b'}' {
                let name = self.string();
                if self.peek() == Some(b':') {
                    self.at += 1;
                }
                self.peek();
                name
            } else {
                position.to_string()
            };
            match next {
                Some((wanted, rest)) if *wanted == name => {
                    self.found = start;
                    self.value(Some(rest));
                }
                _ => self.value(None),
            }
            position += 1;
            // Text that is no JSON must not stop the scanner.
            self.at = self.at.max(start + 1);
        }
    }

    /// Passes a string; its characters as they stand, without the quotes.
    fn string(&mut self) -> String {
        let start = self.at + 1;
        self.at = start;
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte == b'"' {
                break;
            }
            self.at += if byte == b'\\' { 2 } else { 1 };
        }
        let end = self.at.min(self.bytes.len());
        self.at = end + 1;
        String::from_utf8_lossy(&self.bytes[start.min(end)..end]).into_owned()
    }

    /// Passes white space; the byte after it.
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(json: &str, path: &[&str]) -> usize {
        line_of(json, &path.iter().map(|&part| part.to_owned()).collect::<Vec<_>>())
    }

    const JSON: &str = r#"{
  "name": "a \" } ] task",
  "numbers": [1, -2.5e3, null, true],
  "dev": [
    {"name": "one", "file": "1"},
    {"name": "two",
     "file": "2"}
  ],
  "columns": {
    "label": 3 }
}"#;

    #[test]
    fn a_key_and_a_list_position_are_found_on_their_line() {
        assert_eq!(line(JSON, &["name"]), 2);
        assert_eq!(line(JSON, &["numbers", "3"]), 3);
        assert_eq!(line(JSON, &["dev"]), 4);
        assert_eq!(line(JSON, &["dev", "0", "file"]), 5);
        assert_eq!(line(JSON, &["dev", "1"]), 6);
        assert_eq!(line(JSON, &["dev", "1", "file"]), 7);
        assert_eq!(line(JSON, &["columns", "label"]), 10);
    }

    #[test]
    fn of_a_path_that_is_not_there_the_last_part_counts_that_is() {
        assert_eq!(line(JSON, &["columns", "text"]), 9);
        assert_eq!(line(JSON, &["dev", "7", "file"]), 4);
        assert_eq!(line(JSON, &["train"]), 1);
        assert_eq!(line(JSON, &["file"]), 1);
    }

    proptest! {
        #[test]
        fn text_that_is_no_json_gives_some_line(text in "[\\[\\]{}:,\"\\\\a1\n é]{0,40}") {
            let line = line(&text, &["a", "1"]);
            prop_assert!(line <= 1 + text.matches('\n').count());
        }
    }
}
