//! Numbers and names as people read them. Pure functions.

use unicode_width::UnicodeWidthChar;

/// Bytes with three digits that count: `64 B`, `1.50 KiB`, `12.3 MiB`, `1.00 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.5 would be printed as 1024: the next unit has to take over before that.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// An age: `0.4 s`, `12.3 s`, `3 m 20 s`, `2 h 05 m`, `4 d 03 h`.
pub fn age(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{}.{} s", s, ms % 1000 / 100),
        60..3600 => format!("{} m {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {:02} m", s / 3600, s % 3600 / 60),
        _ => format!("{} d {:02} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A count with its thousands apart: `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 buffer`, `2 buffers`.
pub fn plural(n: u64, noun: &str) -> String {
    let ending = match noun {
        "process" if n != 1 => "es",
        _ if n != 1 => "s",
        _ => "",
    };
    format!("{} {noun}{ending}", count(n))
}

/// Text of others made fit to print: what could move a terminal's cursor or break a line is written as an escape.
pub fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        // Zero-width and bidirectional marks have no width of their own and would make two names look alike.
        if c.is_control() || (c.width().unwrap_or(0) == 0 && !is_combining(c)) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{fe00}'..='\u{fe0f}' | '\u{3099}' | '\u{309a}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_that_count() {
        let cases = [
            (0, "0 B"),
            (64, "64 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (12_902_400, "12.3 MiB"),
            (1 << 30, "1.00 GiB"),
            (64 << 30, "64.0 GiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn ages_grow_from_tenths_to_days() {
        let cases = [
            (0, "0.0 s"),
            (450, "0.4 s"),
            (12_340, "12.3 s"),
            (59_999, "59.9 s"),
            (200_000, "3 m 20 s"),
            (7_500_000, "2 h 05 m"),
            (4 * 86_400_000 + 3 * 3_600_000, "4 d 03 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(age(ms), text);
        }
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
        assert_eq!((plural(1, "buffer"), plural(2, "process")), ("1 buffer".into(), "2 processes".into()));
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(printable("Flüge 航班 e\u{301}"), "Flüge 航班 e\u{301}");
    }
}
