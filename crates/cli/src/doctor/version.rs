//! Versions: read from what programs say of themselves, and compared. Pure functions.

use std::fmt;

/// Up to three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, Option<u32>, Option<u32>);

impl Version {
    pub const fn new(major: u32) -> Version {
        Version(major, None, None)
    }

    pub const fn minor(major: u32, minor: u32) -> Version {
        Version(major, Some(minor), None)
    }

    /// The version at the beginning of a text: `17.0.15+6`, `0.16.0-dev`, `25`.
    pub fn parse(text: &str) -> Option<Version> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = text[..end].split('.').map(str::parse::<u32>);
        let major = numbers.next()?.ok()?;
        let mut next = || numbers.next().and_then(Result::ok);
        Some(Version(major, next(), next()))
    }

    /// The first version in a text that stands right after one of these words.
    pub fn after(text: &str, words: &[&str]) -> Option<Version> {
        words
            .iter()
            .find_map(|word| text.match_indices(word).find_map(|(at, found)| Version::parse(&text[at + found.len()..])))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        for number in [self.1, self.2].into_iter().flatten() {
            write!(f, ".{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        assert!(Version::parse("1.100.0") > Version::parse("1.95.9"));
        assert!(Version::parse("22").unwrap() >= Version::new(22));
        assert!(Version::parse("1.8.0_402").unwrap() < Version::new(22));
        assert!(Version::parse("3.11.2").unwrap() >= Version::minor(3, 11));
        assert_eq!(Version::parse("x"), None);
    }

    #[test]
    fn versions_are_found_after_their_word() {
        let after = |text: &str, words: &[&str]| Version::after(text, words).map(|version| version.to_string());
        assert_eq!(after("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright", &[") "]).as_deref(), Some("12.2.0"));
        assert_eq!(after("Apple clang version 15.0.0 (clang-1500)", &["clang version "]).as_deref(), Some("15.0.0"));
        assert_eq!(after("go version go1.26.8 linux/amd64", &["go version go"]).as_deref(), Some("1.26.8"));
        assert_eq!(after("0.16.0-dev.12+abc", &[""]).as_deref(), Some("0.16.0"));
        assert_eq!(after("nothing here", &["version "]), None);
    }
}
