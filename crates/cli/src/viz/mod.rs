//! `weaveheap viz`: the memory of heaps as a drawing. A bar to scale, then region by region the buffers with their borrow
//! states and holders. It is made of snapshots and lists of buffers alone.

mod draw;
mod map;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use weaveheap_core::{BufferInfo, Handle, RegionInfo, Snapshot};

use crate::screen::{Line, Page, Role, Screen};
use crate::target::{self, Subject, Target};
use crate::watch::{self, Frame, Output};

use map::State;

/// Buffers read from one heap: as many as can be drawn in a moment. Regions with more say how many are missing.
const BUFFERS_READ: usize = 1 << 20;

/// A heap with its buffers.
pub struct Picture {
    title: String,
    snapshot: Snapshot,
    regions: Vec<RegionPicture>,
}

/// A region with its buffers, by offset.
struct RegionPicture {
    info: RegionInfo,
    buffers: Vec<BufferInfo>,
    /// Buffers beyond those that are read.
    unread: u64,
}

/// Draws the target's heaps.
pub fn run(target: &Target, pace: Option<Duration>, all: bool, json: bool, screen: Screen) -> Result<u8> {
    watch::show(pace, screen, |screen| {
        let (pictures, failures) = target.open()?.each(target, take)?;
        let output = if json {
            let mut values = pictures.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            let value = if target.may_be_several() { Value::Array(values) } else { values.remove(0) };
            Output::Json(value.to_string())
        } else {
            let mut page = Page::default();
            for picture in &pictures {
                page.gap();
                draw::heap(&mut page, picture, all, screen);
            }
            if pictures.is_empty() && failures.is_empty() {
                page.push(Line::new(Role::Plain, target::nothing_here()));
            }
            Output::Page(page)
        };
        Ok(Frame { output, failures })
    })
}

fn take(subject: &Subject) -> weaveheap_core::Result<Picture> {
    let snapshot = subject.inspector.snapshot()?;
    let buffers = subject.inspector.all_buffers(BUFFERS_READ);
    let complete = buffers.len() < BUFFERS_READ;
    let mut by_region: HashMap<Handle, Vec<BufferInfo>> = HashMap::new();
    for buffer in buffers {
        by_region.entry(buffer.region).or_default().push(buffer);
    }
    let region = |info: &RegionInfo| {
        let mut buffers = by_region.remove(&info.handle).unwrap_or_default();
        buffers.sort_by_key(|buffer| buffer.offset);
        let unread = if complete { 0 } else { info.buffers.saturating_sub(buffers.len() as u64) };
        RegionPicture { info: info.clone(), buffers, unread }
    };
    let regions = snapshot.regions.iter().map(region).collect();
    Ok(Picture { title: subject.title.clone(), snapshot, regions })
}

/// The snapshot as `stats --json` gives it, with the buffers in their regions.
fn value(picture: &Picture) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(&picture.snapshot)?;
    let mut regions = Vec::with_capacity(picture.regions.len());
    for region in &picture.regions {
        let mut one = serde_json::to_value(&region.info)?;
        let mut buffers = Vec::with_capacity(region.buffers.len());
        for buffer in &region.buffers {
            let mut entry = serde_json::to_value(buffer)?;
            entry["state"] = json!(State::of(buffer).name());
            buffers.push(entry);
        }
        // In a region `buffers` is their number: the list has a name of its own.
        one["buffer_list"] = Value::Array(buffers);
        regions.push(one);
    }
    value["regions"] = Value::Array(regions);
    value["title"] = json!(picture.title);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    pub(super) fn picture() -> Picture {
        let snapshot = sample::snapshot();
        let regions = vec![
            RegionPicture { info: snapshot.regions[0].clone(), buffers: sample::buffers(), unread: 0 },
            RegionPicture {
                info: snapshot.regions[1].clone(),
                buffers: vec![
                    sample::buffer("b30:1", "r1:79", sample::GIB + (1 << 20), 4096),
                    sample::buffer("b31:1", "r1:79", sample::GIB + (2 << 20), 8192),
                ],
                unread: 0,
            },
        ];
        Picture { title: "flights".into(), snapshot, regions }
    }

    #[test]
    fn json_has_the_snapshot_with_the_buffers_in_their_regions() {
        let value = value(&picture()).unwrap();
        assert_eq!(value["heap"]["limit"], 64 * sample::GIB);
        assert_eq!(value["regions"][0]["handle"], "r0:77");
        assert_eq!(value["regions"][0]["buffers"], 3);
        let states: Vec<&str> = value["regions"][0]["buffer_list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| b["state"].as_str().unwrap())
            .collect();
        assert_eq!(states, ["shared", "unique", "frozen"]);
        assert_eq!(value["borrows"][0]["handle"], "b17:2043");
    }
}
