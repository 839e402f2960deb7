//! Memory drawn to scale: which cells of a bar are in use, and in which state. Pure functions.

use weaveheap_core::BufferInfo;

use crate::screen::{Role, Screen};

/// The state of a buffer, the more urgent the later: a cell that covers several shows the most urgent one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Idle,
    Frozen,
    Shared,
    Unique,
    Poisoned,
}

impl State {
    pub const ALL: [State; 5] = [State::Idle, State::Frozen, State::Shared, State::Unique, State::Poisoned];

    pub fn of(buffer: &BufferInfo) -> State {
        if buffer.poisoned {
            State::Poisoned
        } else if buffer.unique {
            State::Unique
        } else if buffer.shared > 0 {
            State::Shared
        } else if buffer.frozen {
            State::Frozen
        } else {
            State::Idle
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Frozen => "frozen",
            State::Shared => "shared",
            State::Unique => "unique",
            State::Poisoned => "poisoned",
        }
    }

    pub fn role(self) -> Role {
        match self {
            State::Idle => Role::Idle,
            State::Frozen => Role::Frozen,
            State::Shared => Role::Shared,
            State::Unique => Role::Unique,
            State::Poisoned => Role::Poisoned,
        }
    }

    /// States differ in shape too: colours are not always there, and not seen by everyone.
    pub fn glyph(self, screen: &Screen) -> char {
        match self {
            State::Idle => screen.glyph('░', '-'),
            State::Frozen => screen.glyph('▒', '='),
            State::Shared => screen.glyph('▓', 's'),
            State::Unique => screen.glyph('█', 'U'),
            State::Poisoned => screen.glyph('▚', 'X'),
        }
    }
}

/// The cells of a bar `width` cells wide over the bytes 0 to `extent`.
pub fn cells<'a>(buffers: impl IntoIterator<Item = &'a BufferInfo>, extent: u64, width: usize) -> Vec<Option<State>> {
    let mut cells = vec![None; width];
    if extent == 0 || width == 0 {
        return cells;
    }
    // The cell of a byte; u128, because an extent times a width can pass 64 bits.
    let cell = |byte: u64| ((u128::from(byte) * width as u128 / u128::from(extent)) as usize).min(width - 1);
    for buffer in buffers.into_iter().filter(|buffer| buffer.length > 0) {
        let state = Some(State::of(buffer));
        let end = buffer.offset.saturating_add(buffer.length - 1);
        for slot in &mut cells[cell(buffer.offset)..=cell(end)] {
            *slot = state.max(*slot);
        }
    }
    cells
}

/// How many cells of a gauge are full: any use at all shows, and only complete use fills it.
pub fn gauge(used: u64, limit: u64, width: usize) -> usize {
    if used == 0 || limit == 0 {
        return 0;
    }
    if used >= limit {
        return width;
    }
    let full = (u128::from(used) * width as u128 / u128::from(limit)) as usize;
    full.clamp(1, width.saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::buffer;

    fn drawn(buffers: &[BufferInfo], extent: u64, width: usize) -> String {
        let screen = Screen::plain(None);
        cells(buffers, extent, width).iter().map(|cell| cell.map_or('.', |state| state.glyph(&screen))).collect()
    }

    #[test]
    fn buffers_lie_where_they_lie() {
        let mut shared = buffer("b1:1", "r0:1", 0, 25);
        shared.shared = 1;
        let mut unique = buffer("b2:1", "r0:1", 50, 50);
        unique.unique = true;
        assert_eq!(drawn(&[shared, unique], 100, 8), "▓▓..████");
    }

    #[test]
    fn the_most_urgent_state_of_a_cell_shows_whatever_the_order() {
        let idle = buffer("b1:1", "r0:1", 0, 99);
        let mut poisoned = buffer("b2:1", "r0:1", 99, 1);
        poisoned.poisoned = true;
        assert_eq!(drawn(&[idle.clone(), poisoned.clone()], 100, 4), "░░░▚");
        assert_eq!(drawn(&[poisoned, idle], 100, 4), "░░░▚");
    }

    #[test]
    fn a_small_buffer_shows_and_an_empty_one_does_not() {
        assert_eq!(drawn(&[buffer("b1:1", "r0:1", 50, 1), buffer("b2:1", "r0:1", 99, 0)], 100, 4), "..░.");
    }

    #[test]
    fn offsets_past_the_extent_are_drawn_at_the_end() {
        assert_eq!(drawn(&[buffer("b1:1", "r0:1", u64::MAX - 1, u64::MAX)], 100, 4), "...░");
        assert_eq!(drawn(&[], 0, 4), "....");
    }

    #[test]
    fn a_gauge_is_full_only_when_all_is_used() {
        assert_eq!(
            [gauge(0, 100, 10), gauge(1, 1000, 10), gauge(50, 100, 10), gauge(99, 100, 10), gauge(100, 100, 10)],
            [0, 1, 5, 9, 10]
        );
    }
}
