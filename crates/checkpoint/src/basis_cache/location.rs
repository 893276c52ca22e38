//! Where the cache is.

use std::ffi::OsString;
use std::path::PathBuf;

/// `$TLORA_CACHE`, else `tlora` in the user's directory for caches (`$XDG_CACHE_HOME`, `~/.cache`, `~/Library/Caches`
/// or `%LOCALAPPDATA%`); `None` if there is none.
pub fn default_directory() -> Option<PathBuf> {
    from_environment(|name| std::env::var_os(name), std::env::home_dir())
}

fn from_environment(
    variable: impl Fn(&str) -> Option<OsString>,
    home: Option<PathBuf>,
) -> Option<PathBuf> {
    let path = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(cache) = path("TLORA_CACHE") {
        return Some(cache);
    }
    // The XDG specification says to ignore relative paths.
    let xdg = path("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let caches = xdg.or_else(|| {
        if cfg!(windows) {
            path("LOCALAPPDATA")
        } else {
            let below_home = if cfg!(target_os = "macos") {
                "Library/Caches"
            } else {
                ".cache"
            };
            home.filter(|home| home.is_absolute())
                .map(|home| home.join(below_home))
        }
    });
    caches.map(|caches| caches.join("tlora"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        };
        from_environment(variable, None)
    }

    #[test]
    fn tlora_cache_comes_before_xdg_cache_home() {
        let both = [("TLORA_CACHE", "/t"), ("XDG_CACHE_HOME", "/x")];
        assert_eq!(located(&both), Some(PathBuf::from("/t")));
        assert_eq!(located(&both[1..]), Some(PathBuf::from("/x/tlora")));
    }

    #[test]
    #[cfg(not(windows))]
    fn empty_and_relative_variables_count_as_unset() {
        assert_eq!(
            located(&[("TLORA_CACHE", ""), ("XDG_CACHE_HOME", "x")]),
            None
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn falls_back_to_the_home_directory() {
        assert_eq!(
            from_environment(|_| None, Some("/h".into())),
            Some(PathBuf::from("/h/.cache/tlora"))
        );
    }
}
