//! The user's folders, by the XDG Base Directory Specification.

use std::path::PathBuf;

/// tfbert's folder in the user's cache: `$XDG_CACHE_HOME/tfbert`, else `~/.cache/tfbert`; `None`
/// where there is no home folder. It need not exist.
pub fn user_cache_folder() -> Option<PathBuf> {
    user_folder("XDG_CACHE_HOME", ".cache")
}

/// tfbert's folder among the user's data: `$XDG_DATA_HOME/tfbert`, else `~/.local/share/tfbert`;
/// `None` where there is no home folder. It need not exist.
pub fn user_data_folder() -> Option<PathBuf> {
    user_folder("XDG_DATA_HOME", ".local/share")
}

fn user_folder(variable: &str, default: &str) -> Option<PathBuf> {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    choose(std::env::var_os(variable).map(PathBuf::from), home, default)
}

/// A relative or empty variable is ignored, as the specification asks.
fn choose(xdg: Option<PathBuf>, home: Option<PathBuf>, default: &str) -> Option<PathBuf> {
    let base =
        xdg.filter(|path| path.is_absolute()).or_else(|| home.map(|home| home.join(default)))?;
    Some(base.join("tfbert"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_variable_wins_and_an_empty_or_relative_one_is_ignored() {
        let home = || Some(PathBuf::from("/home/ada"));
        let found = |xdg: &str| choose(Some(xdg.into()), home(), ".cache");
        assert_eq!(found("/var/cache"), Some("/var/cache/tfbert".into()));
        assert_eq!(found("cache"), Some("/home/ada/.cache/tfbert".into()));
        assert_eq!(found(""), Some("/home/ada/.cache/tfbert".into()));
        let data = choose(None, home(), ".local/share");
        assert_eq!(data, Some("/home/ada/.local/share/tfbert".into()));
        assert_eq!(choose(None, None, ".cache"), None);
    }
}
