//! The sources of the package, as Rust's tokens.

#![allow(dead_code)] // Each test crate uses a part of it.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::common::root;

/// A file below `src/`, without what is compiled for tests alone.
pub struct SourceFile {
    /// From the repository: `src/train/line.rs`.
    path: PathBuf,
    /// All tokens outside of items under `#[cfg(test)]`.
    pub tokens: Vec<TokenTree>,
}

/// Every file below `src/`, except files of tests alone.
pub fn files() -> Vec<SourceFile> {
    let mut paths = Vec::new();
    rust_files(&root().join("src"), &mut paths);
    paths.retain(|path| path.file_stem().is_some_and(|stem| stem != "tests"));
    assert!(paths.len() > 50, "src/ has {} files", paths.len());
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            SourceFile::new(path.strip_prefix(root()).unwrap(), &text)
        })
        .collect()
}

/// Adds the Rust files below a folder, in order.
pub fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

impl SourceFile {
    /// A file by its path from the repository and its text.
    pub fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let path = path.into();
        let tokens: TokenStream =
            text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, tokens: without_tests(tokens) }
    }

    /// The path to print.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The top-level module that the file belongs to.
    pub fn module(&self) -> String {
        let name = self.path.components().nth(1).expect("a file below src/");
        Path::new(name.as_os_str()).file_stem().unwrap().to_string_lossy().into_owned()
    }

    /// Whether the file is of the binary, whose `crate` is not the library.
    pub fn in_binary(&self) -> bool {
        ["main", "commands"].contains(&self.module().as_str())
    }

    /// How many `super` lead from the file's module to the crate.
    pub fn depth(&self) -> usize {
        let below = self.path.components().count() - 1;
        if self.path.ends_with("mod.rs") { below - 1 } else { below }
    }

    /// The names that follow `prefix::`, each with its line; of `prefix::{a, b::{c, d}}` `a` and `b`.
    pub fn names_after(&self, prefix: &[&str]) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        names_after(&self.tokens, prefix, &mut found);
        found
    }

    /// The lines on which an identifier stands.
    pub fn lines_with(&self, name: &str) -> Vec<usize> {
        let mut found = Vec::new();
        walk(&self.tokens, &mut |tokens| {
            for token in tokens {
                if matches!(token, TokenTree::Ident(ident) if *ident == name) {
                    found.push(line(token));
                }
            }
        });
        found
    }
}

/// The line of a token, from 1.
pub fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

/// Calls `visit` with the tokens of each level, from the outermost.
pub fn walk(tokens: &[TokenTree], visit: &mut impl FnMut(&[TokenTree])) {
    visit(tokens);
    for token in tokens {
        if let TokenTree::Group(group) = token {
            walk(&group.stream().into_iter().collect::<Vec<_>>(), visit);
        }
    }
}

fn is_punct(token: Option<&TokenTree>, punct: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == punct)
}

fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if *ident == name)
}

/// How many tokens from `at` on are `prefix::`, which nothing comes before: `a::b::` for `[a, b]`.
fn prefix_length(tokens: &[TokenTree], at: usize, prefix: &[&str]) -> Option<usize> {
    let colons = |at: usize| is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':');
    // `::name` begins a path, `other::name` goes on with one.
    if at > 2 && colons(at - 2) && matches!(tokens[at - 3], TokenTree::Ident(_)) {
        return None;
    }
    let mut next = at;
    for name in prefix {
        if !is_ident(tokens.get(next), name) || !colons(next + 1) {
            return None;
        }
        next += 3;
    }
    Some(next - at)
}

fn names_after(tokens: &[TokenTree], prefix: &[&str], found: &mut Vec<(usize, String)>) {
    for at in 0..tokens.len() {
        if let Some(length) = prefix_length(tokens, at, prefix) {
            match tokens.get(at + length) {
                Some(TokenTree::Ident(ident)) if *ident != "super" => {
                    found.push((line(&tokens[at]), ident.to_string()));
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let mut first = true;
                    for token in group.stream() {
                        if let (true, TokenTree::Ident(ident)) = (first, &token) {
                            found.push((line(&token), ident.to_string()));
                        }
                        first = is_punct(Some(&token), ',');
                    }
                }
                _ => {}
            }
        }
        if let TokenTree::Group(group) = &tokens[at] {
            names_after(&group.stream().into_iter().collect::<Vec<_>>(), prefix, found);
        }
    }
}

/// Drops each item after `#[cfg(test)]`: to its `;` or its braces.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let for_tests = is_punct(Some(&token), '#')
            && matches!(tokens.peek(), Some(TokenTree::Group(group))
                if group.stream().to_string().replace(' ', "") == "cfg(test)");
        if !for_tests {
            kept.push(token);
            continue;
        }
        for token in tokens.by_ref().skip(1) {
            let ends = is_punct(Some(&token), ';')
                || matches!(&token, TokenTree::Group(group)
                    if group.delimiter() == Delimiter::Brace);
            if ends {
                break;
            }
        }
    }
    kept
}
