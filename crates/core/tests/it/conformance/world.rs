//! What a case works with: its heaps, handles, views, tokens and marks by name, and the operations on them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};
use weaveheap_core::{BorrowKind, Counters, ErrorCode, Handle, Heap, HeapOptions, Init, Lease, RegionOptions, Token};

use crate::support::{TempDir, unique};

/// Why a step did not do what it should.
pub enum Failure {
    Refused(weaveheap_core::Error),
    Bad(String),
}

impl From<weaveheap_core::Error> for Failure {
    fn from(error: weaveheap_core::Error) -> Failure {
        Failure::Refused(error)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Failure {
        Failure::Bad(text.to_owned())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::Bad(text)
    }
}

/// What a step gave.
pub enum Outcome {
    Nothing,
    Value(Value),
    Bytes(Vec<u8>),
    Found(Handle),
}

pub type Step = Map<String, Value>;

#[derive(Default)]
pub struct World {
    heaps: BTreeMap<String, Heap>,
    handles: BTreeMap<String, (String, Handle)>,
    views: BTreeMap<String, (Handle, String, Option<Lease>)>,
    tokens: BTreeMap<String, (String, Token)>,
    marks: BTreeMap<String, (String, Option<Handle>, Counters)>,
    places: Vec<Place>,
    unique: String,
    temp: Option<TempDir>,
}

#[derive(Clone)]
pub enum Place {
    Name(String),
    Path(PathBuf),
}

pub fn text<'a>(step: &'a Step, key: &str) -> Result<&'a str, String> {
    step.get(key).and_then(Value::as_str).ok_or(format!("`{key}` is missing or no text"))
}

fn number(step: &Step, key: &str) -> Result<Option<u64>, String> {
    match step.get(key) {
        None => Ok(None),
        Some(value) => {
            let parsed = value.as_u64().or_else(|| value.as_str().and_then(|digits| digits.parse().ok()));
            parsed.map(Some).ok_or(format!("`{key}` is no number: {value}"))
        }
    }
}

fn seconds(step: &Step) -> Result<Duration, String> {
    let value = step.get("timeout").and_then(Value::as_f64).ok_or("`timeout` is no number")?;
    Duration::try_from_secs_f64(value).map_err(|error| error.to_string())
}

fn from_hex(digits: &str) -> Result<Vec<u8>, String> {
    let bytes = digits.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).map_err(|_| "no hexadecimal digits")?;
        u8::from_str_radix(pair, 16).map_err(|_| "no hexadecimal digits")
    });
    bytes.collect::<Result<_, _>>().map_err(str::to_owned)
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn options_of(step: &Step) -> Result<HeapOptions, String> {
    let mut options = Heap::options();
    if let Some(limit) = number(step, "limit")? {
        options = options.limit(limit);
    }
    if let Some(verify) = step.get("verify") {
        options = options.verify(verify.as_bool().ok_or("`verify` is not true or false")?);
    }
    if let Some(inspect) = step.get("inspect") {
        options = options.inspect(inspect.as_bool().ok_or("`inspect` is not true or false")?);
    }
    Ok(options)
}

pub fn keys_known(map: &Step, known: &[&str]) -> Result<(), String> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key `{key}`")),
        None => Ok(()),
    }
}

/// The keys of each operation, `do`, `expect` and `heap` aside.
fn keys_of(operation: &str) -> Option<&'static [&'static str]> {
    Some(match operation {
        "private_heap" => &["limit", "verify", "inspect", "as"],
        "create_heap" => &["name", "path", "limit", "verify", "inspect", "as"],
        "open_heap" => &["name", "path", "as"],
        "remove_heap" => &["name", "path"],
        "write_file" => &["path", "text"],
        "detach" | "check" => &[],
        "create_region" => &["name", "limit", "as"],
        "reset" | "close" | "close_when_idle" | "region_info" => &["region"],
        "wait_idle" => &["region", "timeout"],
        "alloc" => &["region", "length", "align", "init", "as"],
        "string" => &["region", "text", "as"],
        "free" | "freeze" | "clear_poison" | "length" | "buffer_info" => &["buffer"],
        "borrow_shared" | "borrow_unique" => &["buffer", "as"],
        "release" | "view_length" | "validate_text" => &["view"],
        "write" => &["view", "at", "hex", "text"],
        "read" => &["view", "at", "length"],
        "view_aligned" => &["view", "to"],
        "begin" => &["buffer", "kind", "as"],
        "end" => &["token"],
        "forge_token" => &["token", "bits", "xor", "as"],
        "forge" => &["handle", "bits", "xor", "as"],
        "compare" => &["a", "b"],
        "holders" | "text_of" => &["handle"],
        "format_handle" => &["bits"],
        "parse_handle" => &["text"],
        "publish" => &["name", "handle"],
        "lookup" => &["name", "timeout", "as"],
        "unpublish" => &["name"],
        "mark" => &["of", "as"],
        "counted" => &["since"],
        _ => return None,
    })
}

impl World {
    pub fn new() -> World {
        let mut world = World::default();
        world.unique = unique();
        world.temp = Some(TempDir::new());
        world
    }

    fn text(&self, step: &Step, key: &str) -> Result<String, String> {
        let temp = self.temp.as_ref().map(|dir| dir.path().to_string_lossy().into_owned()).unwrap_or_default();
        Ok(text(step, key)?.replace("{unique}", &self.unique).replace("{temp}", &temp))
    }

    fn heap_named(&self, name: &str) -> Result<&Heap, String> {
        self.heaps.get(name).ok_or(format!("no heap is called `{name}`"))
    }

    fn heap(&self, step: &Step) -> Result<(String, &Heap), String> {
        let name = if step.contains_key("heap") { text(step, "heap")? } else { "h" };
        Ok((name.to_owned(), self.heap_named(name)?))
    }

    pub fn handle_named(&self, name: &str) -> Result<(String, Handle), String> {
        match name {
            "null" => Ok(("h".to_owned(), Handle::NULL)),
            _ => self.handles.get(name).cloned().ok_or(format!("no handle is called `{name}`")),
        }
    }

    /// A handle, and the heap that it is used through: its own unless the step names another.
    fn handle(&self, step: &Step, key: &str) -> Result<(String, &Heap, Handle), String> {
        let (own, handle) = self.handle_named(text(step, key)?)?;
        let name = if step.contains_key("heap") { text(step, "heap")?.to_owned() } else { own };
        let heap = self.heap_named(&name)?;
        Ok((name, heap, handle))
    }

    fn place(&self, step: &Step) -> Result<Place, String> {
        match (step.contains_key("name"), step.contains_key("path")) {
            (true, false) => Ok(Place::Name(self.text(step, "name")?)),
            (false, true) => Ok(Place::Path(PathBuf::from(self.text(step, "path")?))),
            _ => Err("one of `name` and `path` is needed".to_owned()),
        }
    }

    fn lease(&self, step: &Step) -> Result<&Lease, String> {
        let name = text(step, "view")?;
        let (_, _, lease) = self.views.get(name).ok_or(format!("no view is called `{name}`"))?;
        lease.as_ref().ok_or(format!("view `{name}` is released"))
    }

    fn bits(step: &Step, base: u64) -> Result<u64, String> {
        match step.get("xor") {
            None => Ok(base),
            Some(_) => {
                let digits = text(step, "xor")?;
                let mask = u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16);
                Ok(base ^ mask.ok_or("`xor` is not 16 hexadecimal digits")?)
            }
        }
    }

    fn content(&self, step: &Step) -> Result<Vec<u8>, String> {
        match (step.contains_key("hex"), step.contains_key("text")) {
            (true, false) => from_hex(text(step, "hex")?),
            (false, true) => Ok(self.text(step, "text")?.into_bytes()),
            _ => Err("one of `hex` and `text` is needed".to_owned()),
        }
    }

    fn counters(&self, heap: &str, region: Option<Handle>) -> Result<Counters, Failure> {
        let snapshot = self.heap_named(heap)?.snapshot()?;
        match region {
            None => Ok(snapshot.counters),
            Some(handle) => {
                let found = snapshot.regions.into_iter().find(|region| region.handle == handle);
                Ok(found.ok_or(weaveheap_core::Error::new(ErrorCode::StaleHandle))?.counters)
            }
        }
    }

    fn begin_view(&mut self, step: &Step, kind: BorrowKind) -> Result<(), Failure> {
        let (name, heap, handle) = self.handle(step, "buffer")?;
        let lease = heap.borrow(handle, kind)?;
        self.views.insert(text(step, "as")?.to_owned(), (handle, name, Some(lease)));
        Ok(())
    }

    pub fn run(&mut self, step: &Step) -> Result<Outcome, Failure> {
        let operation = text(step, "do")?.to_owned();
        let known = keys_of(&operation).ok_or(format!("unknown operation `{operation}`"))?;
        keys_known(step, &[known, &["do", "expect", "heap"]].concat())?;
        let name = match known.contains(&"as") {
            true if operation == "lookup" && !step.contains_key("as") => String::new(),
            true => text(step, "as")?.to_owned(),
            false => String::new(),
        };
        let given = [
            self.heaps.contains_key(&name),
            self.handles.contains_key(&name),
            self.views.contains_key(&name),
            self.tokens.contains_key(&name),
            self.marks.contains_key(&name),
        ];
        if given.contains(&true) {
            return Err(format!("the name `{name}` is given twice").into());
        }
        match operation.as_str() {
            "private_heap" => {
                let heap = options_of(step)?.private()?;
                self.heaps.insert(name, heap);
            }
            "create_heap" => {
                let (place, options) = (self.place(step)?, options_of(step)?);
                let heap = match &place {
                    // SAFETY: this process alone uses the heap, and only by the protocol.
                    Place::Name(real) => unsafe { options.create(real) },
                    // SAFETY: as above.
                    Place::Path(path) => unsafe { options.create_path(path) },
                }?;
                self.places.push(place);
                self.heaps.insert(name, heap);
            }
            "open_heap" => {
                let heap = match &self.place(step)? {
                    // SAFETY: as above.
                    Place::Name(real) => unsafe { Heap::options().open(real) },
                    // SAFETY: as above.
                    Place::Path(path) => unsafe { Heap::options().open_path(path) },
                }?;
                self.heaps.insert(name, heap);
            }
            "remove_heap" => match &self.place(step)? {
                Place::Name(real) => Heap::remove(real)?,
                Place::Path(path) => Heap::remove_path(path)?,
            },
            "write_file" => {
                let (path, content) = (self.text(step, "path")?, self.text(step, "text")?);
                std::fs::write(path, content).map_err(|error| error.to_string())?;
            }
            "detach" => self.heap(step)?.1.detach()?,
            "check" => {
                self.heap(step)?.1.check()?;
            }
            "create_region" => {
                let mut options = RegionOptions::new();
                if step.contains_key("name") {
                    options = options.name(self.text(step, "name")?);
                }
                if let Some(limit) = number(step, "limit")? {
                    options = options.limit(limit);
                }
                let (owner, heap) = self.heap(step)?;
                let handle = heap.create_region(&options)?;
                self.handles.insert(name, (owner, handle));
            }
            "reset" | "close" | "close_when_idle" => {
                let (_, heap, handle) = self.handle(step, "region")?;
                match operation.as_str() {
                    "reset" => heap.reset(handle)?,
                    "close" => heap.close(handle)?,
                    _ => heap.close_when_idle(handle)?,
                }
            }
            "wait_idle" => {
                let (_, heap, handle) = self.handle(step, "region")?;
                heap.wait_idle(handle, Some(seconds(step)?))?;
            }
            "region_info" => {
                let (_, heap, handle) = self.handle(step, "region")?;
                let regions = heap.snapshot()?.regions;
                let region = regions.into_iter().find(|region| region.handle == handle);
                let region = region.ok_or(weaveheap_core::Error::new(ErrorCode::StaleHandle))?;
                return Ok(Outcome::Value(serde_json::to_value(region).map_err(|error| error.to_string())?));
            }
            "alloc" => {
                let (owner, heap, region) = self.handle(step, "region")?;
                let length = number(step, "length")?.ok_or("`length` is missing")?;
                let align = number(step, "align")?.unwrap_or(weaveheap_core::DEFAULT_ALIGN);
                let init = match step.get("init").map(|init| init.as_str()) {
                    None | Some(Some("zeroed")) => Init::Zeroed,
                    Some(Some("uninit")) => Init::Uninit,
                    Some(_) => return Err("`init` is neither zeroed nor uninit".to_owned().into()),
                };
                let handle = heap.alloc(region, length, align, init)?;
                self.handles.insert(name, (owner, handle));
            }
            "string" => {
                let (owner, heap, region) = self.handle(step, "region")?;
                let handle = heap.alloc_from(region, self.text(step, "text")?.as_bytes(), 1)?;
                self.handles.insert(name, (owner, handle));
            }
            "free" | "freeze" | "clear_poison" => {
                let (_, heap, handle) = self.handle(step, "buffer")?;
                match operation.as_str() {
                    "free" => heap.free(handle)?,
                    "freeze" => heap.freeze(handle)?,
                    _ => heap.clear_poison(handle)?,
                }
            }
            "length" => {
                let (_, heap, handle) = self.handle(step, "buffer")?;
                return Ok(Outcome::Value(json!(heap.buffer(handle)?.len())));
            }
            "buffer_info" => {
                let (_, heap, handle) = self.handle(step, "buffer")?;
                let info = heap.buffer_info(handle)?;
                return Ok(Outcome::Value(serde_json::to_value(info).map_err(|error| error.to_string())?));
            }
            "borrow_shared" => self.begin_view(step, BorrowKind::Shared)?,
            "borrow_unique" => self.begin_view(step, BorrowKind::Unique)?,
            "release" => {
                let view = text(step, "view")?;
                let (_, _, lease) = self.views.get_mut(view).ok_or(format!("no view is called `{view}`"))?;
                *lease = None;
            }
            "write" => {
                let content = self.content(step)?;
                let at = number(step, "at")?.unwrap_or(0) as usize;
                let view = text(step, "view")?;
                let (_, _, lease) = self.views.get_mut(view).ok_or(format!("no view is called `{view}`"))?;
                let bytes = lease.as_mut().and_then(Lease::as_mut_slice).ok_or("the view is not unique")?;
                let range = bytes.get_mut(at..at + content.len()).ok_or("the view is shorter")?;
                range.copy_from_slice(&content);
            }
            "read" => {
                let bytes = self.lease(step)?.as_slice();
                let at = number(step, "at")?.unwrap_or(0) as usize;
                let end = number(step, "length")?.map_or(bytes.len(), |length| at + length as usize);
                return Ok(Outcome::Bytes(bytes.get(at..end).ok_or("the view is shorter")?.to_vec()));
            }
            "view_length" => return Ok(Outcome::Value(json!(self.lease(step)?.len()))),
            "view_aligned" => {
                let to = number(step, "to")?.ok_or("`to` is missing")?;
                return Ok(Outcome::Value(json!((self.lease(step)?.as_ptr() as u64).is_multiple_of(to))));
            }
            "validate_text" => {
                let view = text(step, "view")?;
                let (handle, heap, _) = self.views.get(view).ok_or(format!("no view is called `{view}`"))?;
                let buffer = self.heap_named(heap)?.buffer(*handle)?;
                let shared = buffer.borrow_shared()?;
                return Ok(Outcome::Bytes(shared.as_str()?.as_bytes().to_vec()));
            }
            "begin" => {
                let (owner, heap, handle) = self.handle(step, "buffer")?;
                let kind = match text(step, "kind")? {
                    "shared" => BorrowKind::Shared,
                    "unique" => BorrowKind::Unique,
                    other => return Err(format!("unknown kind `{other}`").into()),
                };
                let token = heap.borrow_raw(handle, kind)?.token;
                self.tokens.insert(name, (owner, token));
            }
            "end" => {
                let token = text(step, "token")?;
                let (own, token) = self.tokens.get(token).ok_or(format!("no token is called `{token}`"))?;
                let heap = if step.contains_key("heap") { text(step, "heap")? } else { own };
                self.heap_named(heap)?.end(*token)?;
            }
            "forge_token" => {
                let (owner, base) = match step.get("token") {
                    None => ("h".to_owned(), text(step, "bits")?.parse().map_err(|_| "`bits` is no number")?),
                    Some(_) => {
                        let token = text(step, "token")?;
                        let (owner, token) = self.tokens.get(token).ok_or(format!("no token is called `{token}`"))?;
                        (owner.clone(), token.to_bits())
                    }
                };
                self.tokens.insert(name, (owner, Token::from_bits(World::bits(step, base)?)));
            }
            "forge" => {
                let (owner, base) = match step.get("handle") {
                    None => ("h".to_owned(), text(step, "bits")?.parse().map_err(|_| "`bits` is no number")?),
                    Some(_) => {
                        let (owner, handle) = self.handle_named(text(step, "handle")?)?;
                        (owner, handle.to_bits())
                    }
                };
                self.handles.insert(name, (owner, Handle::from_bits(World::bits(step, base)?)));
            }
            "compare" => {
                let (a, b) = (self.handle_named(text(step, "a")?)?, self.handle_named(text(step, "b")?)?);
                return Ok(Outcome::Value(json!(a.1.to_bits() == b.1.to_bits())));
            }
            "holders" => {
                let (_, heap, handle) = self.handle(step, "handle")?;
                let borrows = heap.snapshot()?.borrows.into_iter();
                let of_it = borrows.filter(|holder| holder.handle == handle || holder.region == handle);
                return Ok(Outcome::Value(of_it.map(|holder| holder.kind.name()).collect()));
            }
            "format_handle" => {
                let bits = text(step, "bits")?.parse().map_err(|_| "`bits` is no number".to_owned())?;
                return Ok(Outcome::Value(json!(Handle::from_bits(bits).to_string())));
            }
            "parse_handle" => {
                let handle: Handle = text(step, "text")?.parse()?;
                return Ok(Outcome::Value(json!(handle.to_bits().to_string())));
            }
            "text_of" => {
                let (_, handle) = self.handle_named(text(step, "handle")?)?;
                let written = handle.to_string();
                if written.parse::<Handle>()? != handle {
                    return Err(format!("{written} is not read back as the same handle").into());
                }
                return Ok(Outcome::Value(json!(written[..1])));
            }
            "publish" => {
                let (_, heap, handle) = self.handle(step, "handle")?;
                heap.publish(&self.text(step, "name")?, handle)?;
            }
            "lookup" => {
                let (owner, heap) = self.heap(step)?;
                let real = self.text(step, "name")?;
                let handle = match step.contains_key("timeout") {
                    true => heap.lookup_wait(&real, Some(seconds(step)?))?,
                    false => heap.lookup(&real)?,
                };
                if !name.is_empty() {
                    self.handles.insert(name, (owner, handle));
                }
                return Ok(Outcome::Found(handle));
            }
            "unpublish" => self.heap(step)?.1.unpublish(&self.text(step, "name")?)?,
            "mark" => {
                let of = text(step, "of")?;
                let (heap, region) = match self.heaps.contains_key(of) {
                    true => (of.to_owned(), None),
                    false => self.handle_named(of).map(|(heap, region)| (heap, Some(region)))?,
                };
                let counters = self.counters(&heap, region)?;
                self.marks.insert(name, (heap, region, counters));
            }
            "counted" => {
                let mark = text(step, "since")?;
                let (heap, region, before) = self.marks.get(mark).ok_or(format!("no mark is called `{mark}`"))?;
                let (mut grown, mut old) = (BTreeMap::new(), BTreeMap::new());
                flatten("", &json!(self.counters(heap, *region)?), &mut grown);
                flatten("", &json!(before), &mut old);
                for (key, value) in &mut grown {
                    *value = value.checked_sub(old[key]).ok_or(format!("{key} has shrunk"))?;
                }
                return Ok(Outcome::Value(json!(grown)));
            }
            _ => return Err(format!("operation `{operation}` is not run by this runner").into()),
        }
        Ok(Outcome::Nothing)
    }

    /// What is verified after the last step.
    pub fn finish(&mut self) -> Result<(), String> {
        for (name, heap) in &self.heaps {
            if heap.is_detached() {
                continue;
            }
            let snapshot = heap.snapshot().map_err(|error| format!("statistics of `{name}`: {error}"))?;
            if !snapshot.borrows.is_empty() {
                return Err(format!("left borrowed in `{name}`: {:?}", snapshot.borrows));
            }
            heap.check().map_err(|error| format!("check of `{name}`: {error}"))?;
        }
        for (name, heap) in &self.heaps {
            if !heap.is_detached() {
                heap.detach().map_err(|error| format!("detach `{name}`: {error}"))?;
            }
        }
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.views.clear();
        for place in &self.places {
            // Most cases leave their heaps to the runner; some have removed them.
            let _ = match place {
                Place::Name(real) => Heap::remove(real),
                Place::Path(path) => Heap::remove_path(path),
            };
        }
    }
}

fn flatten(prefix: &str, value: &Value, into: &mut BTreeMap<String, u64>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        match value.as_u64() {
            Some(number) => drop(into.insert(format!("{prefix}{key}"), number)),
            None => flatten(&format!("{prefix}{key}."), value, into),
        }
    }
}
