//! The user's cache folder.

use std::path::PathBuf;

/// tfbert's folder in the user's cache: `$XDG_CACHE_HOME/tfbert`, else `~/.cache/tfbert`; `None`
/// where there is no home folder. It need not exist.
///
/// A relative or empty `XDG_CACHE_HOME` is ignored, as the XDG Base Directory Specification asks.
pub fn user_cache_folder() -> Option<PathBuf> {
    let xdg = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    cache_folder(xdg, home)
}

fn cache_folder(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let base =
        xdg.filter(|path| path.is_absolute()).or_else(|| home.map(|home| home.join(".cache")))?;
    Some(base.join("tfbert"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_xdg_cache_home_wins_and_an_empty_or_relative_one_is_ignored() {
        let home = || Some(PathBuf::from("/home/ada"));
        let found = |xdg: &str| cache_folder(Some(xdg.into()), home());
        assert_eq!(found("/var/cache"), Some("/var/cache/tfbert".into()));
        assert_eq!(found("cache"), Some("/home/ada/.cache/tfbert".into()));
        assert_eq!(found(""), Some("/home/ada/.cache/tfbert".into()));
        assert_eq!(cache_folder(None, None), None);
    }
}
