//! Runs a program step by step, on the heap and on the reference, and compares what each answers.

use std::time::Duration;

use serde_json::json;
use weaveheap_core::{BorrowKind, Error, ErrorCode, Handle, Heap, Init, Lease, RegionOptions, Token};

use crate::case::{Case, hex, name_of};
use crate::operation::{Length, Operation, Step, Using};
use crate::reference::{Answer, Named, Reference, Refusal};

/// Bytes of live buffers that a program may have.
const MOST_BYTES: u64 = 32 << 20;
/// Regions that a program may make.
const MOST_REGIONS: usize = 64;
/// Bytes that one write changes.
const WRITTEN: usize = 64;

/// What differs, in words.
pub(crate) type Agreed<T = ()> = Result<T, String>;

/// The heap, the reference, and which handle is which.
pub(crate) struct Machine<'a> {
    pub(crate) heaps: &'a [Heap],
    pub(crate) reference: Reference,
    pub(crate) regions: Vec<Handle>,
    pub(crate) buffers: Vec<Handle>,
    pub(crate) case: Case,
    /// Each with its borrow in the reference.
    leases: Vec<(usize, Option<Lease>)>,
    tokens: Vec<(usize, Token)>,
    forged: usize,
}

/// Who makes a step: a heap, its number, and whether a thread of its own does it.
#[derive(Clone, Copy)]
struct By<'a> {
    heap: &'a Heap,
    attachment: usize,
    elsewhere: bool,
}

impl By<'_> {
    fn go<T: Send>(self, work: impl FnOnce(&Heap) -> T + Send) -> T {
        if !self.elsewhere {
            return work(self.heap);
        }
        let joined = std::thread::scope(|scope| scope.spawn(|| work(self.heap)).join());
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn pick(number: u8, of: usize) -> Option<usize> {
    (of > 0).then(|| usize::from(number) % of)
}

fn kind(unique: bool) -> BorrowKind {
    if unique { BorrowKind::Unique } else { BorrowKind::Shared }
}

fn published(name: u8) -> String {
    format!("n{}", name % 4)
}

/// What both answer: the same result, code and holders.
fn agree<T>(what: &str, real: Result<T, Error>, expected: &Answer) -> Agreed<Option<T>> {
    match (real, expected) {
        (Ok(value), Ok(())) => Ok(Some(value)),
        (Err(error), Err(refusal)) if error.code() == refusal.code => match &refusal.holders {
            None => Ok(None),
            Some(holders) => {
                let found = sorted(error.holders().iter().map(|holder| holder.kind));
                let wanted = sorted(holders.iter().copied());
                if found == wanted { Ok(None) } else { Err(format!("{what}: holders {found:?}, expected {wanted:?}")) }
            }
        },
        (Ok(_), Err(Refusal { code, .. })) => Err(format!("{what} succeeds, expected {}", code.name())),
        (Err(error), expected) => Err(format!("{what}: {error}; expected {expected:?}")),
    }
}

fn sorted(kinds: impl Iterator<Item = BorrowKind>) -> Vec<&'static str> {
    let mut names: Vec<&str> = kinds.map(BorrowKind::name).collect();
    names.sort_unstable();
    names
}

impl<'a> Machine<'a> {
    pub(crate) fn new(heaps: &'a [Heap]) -> Machine<'a> {
        Machine {
            heaps,
            reference: Reference::default(),
            regions: Vec::new(),
            buffers: Vec::new(),
            case: Case::new(heaps.len()),
            leases: Vec::new(),
            tokens: Vec::new(),
            forged: 0,
        }
    }

    fn by(&self, number: u8) -> By<'a> {
        let attachment = usize::from(number >> 1) % self.heaps.len();
        By { heap: &self.heaps[attachment], attachment, elsewhere: number & 1 == 1 }
    }

    /// Makes one step, and compares all there is.
    pub(crate) fn step(&mut self, step: &Step) -> Agreed {
        let by = self.by(step.by);
        self.operate(by, &step.operation)?;
        self.compare(by.heap).map_err(|what| format!("after {:?}: {what}", step.operation))
    }

    fn operate(&mut self, by: By<'_>, operation: &Operation) -> Agreed {
        match *operation {
            Operation::CreateRegion { limit } => self.create_region(by, limit),
            Operation::Alloc { region, length, align, zeroed } => self.alloc(by, region, length, align % 14, zeroed),
            Operation::AllocFrom { region, length, byte } => self.alloc_from(by, region, length, byte),
            Operation::Free { buffer } => self.of_buffer(by, "free", buffer, Reference::free, Heap::free),
            Operation::Borrow { buffer, unique } => self.borrow(by, buffer, kind(unique)),
            Operation::Release { lease } => self.release(by, lease),
            Operation::Write { lease, at, byte } => self.write(lease, at.into(), byte),
            Operation::Begin { buffer, unique } => self.begin(by, buffer, kind(unique)),
            Operation::End { token } => self.end(by, token),
            Operation::EndForged { token, xor } => self.end_forged(by, token, xor),
            Operation::Freeze { buffer } => self.of_buffer(by, "freeze", buffer, Reference::freeze, Heap::freeze),
            Operation::ClearPoison { buffer } => {
                self.of_buffer(by, "clear_poison", buffer, |r, b| r.clear_poison(b), Heap::clear_poison)
            }
            Operation::Reset { region } => self.of_region(by, "reset", region, |r, at| r.empty(at, true), Heap::reset),
            Operation::Close { region } => self.of_region(by, "close", region, |r, at| r.empty(at, false), Heap::close),
            Operation::CloseWhenIdle { region } => {
                self.of_region(by, "close_when_idle", region, Reference::close_when_idle, Heap::close_when_idle)
            }
            Operation::WaitIdle { region } => self.wait_idle(by, region),
            Operation::Publish { of, region, name } => self.publish(by, of, region, name),
            Operation::Unpublish { name } => {
                let expected = self.reference.unpublish(name % 4);
                let step = json!({ "do": "unpublish", "name": published(name) });
                self.case.step(by.attachment, step, None, &expected);
                agree("unpublish", by.go(|heap| heap.unpublish(&published(name))), &expected).map(drop)
            }
            Operation::Lookup { name } => self.lookup(by, name),
            Operation::Forge { of, region, xor, using } => self.forge(by, of, region, xor, using),
            Operation::Detach => self.detach(by),
            Operation::Trim => by.go(Heap::trim).map(drop).map_err(|error| format!("trim: {error}")),
        }
    }

    fn of_buffer(
        &mut self,
        by: By<'_>,
        what: &str,
        number: u8,
        expect: impl FnOnce(&mut Reference, usize) -> Answer,
        act: impl FnOnce(&Heap, Handle) -> Result<(), Error> + Send,
    ) -> Agreed {
        let Some(index) = pick(number, self.buffers.len()) else { return Ok(()) };
        let expected = expect(&mut self.reference, index);
        self.case.step(by.attachment, json!({ "do": what, "buffer": format!("b{index}") }), None, &expected);
        let handle = self.buffers[index];
        agree(what, by.go(|heap| act(heap, handle)), &expected).map(drop)
    }

    fn of_region(
        &mut self,
        by: By<'_>,
        what: &str,
        number: u8,
        expect: impl FnOnce(&mut Reference, usize) -> Answer,
        act: impl FnOnce(&Heap, Handle) -> Result<(), Error> + Send,
    ) -> Agreed {
        let Some(index) = pick(number, self.regions.len()) else { return Ok(()) };
        let expected = expect(&mut self.reference, index);
        self.case.step(by.attachment, json!({ "do": what, "region": format!("r{index}") }), None, &expected);
        let handle = self.regions[index];
        agree(what, by.go(|heap| act(heap, handle)), &expected).map(drop)
    }

    fn create_region(&mut self, by: By<'_>, limit: Option<u16>) -> Agreed {
        let index = self.regions.len();
        if index == MOST_REGIONS {
            return Ok(());
        }
        let limit = limit.map(|kib| (u64::from(kib) << 10) + 1);
        let mut options = RegionOptions::new();
        let mut step = json!({ "do": "create_region" });
        if let Some(bytes) = limit {
            options = options.limit(bytes);
            step["limit"] = json!(bytes);
        }
        self.case.step(by.attachment, step, Some(format!("r{index}")), &Ok(()));
        let made = by.go(|heap| heap.create_region(&options)).map_err(|error| format!("create_region: {error}"))?;
        if self.regions.contains(&made) {
            return Err(format!("create_region gives {made} a second time"));
        }
        self.reference.create_region(limit);
        self.regions.push(made);
        Ok(())
    }

    fn alloc(&mut self, by: By<'_>, number: u8, length: Length, exponent: u8, zeroed: bool) -> Agreed {
        let Some(region) = pick(number, self.regions.len()) else { return Ok(()) };
        let most = by.heap.limit();
        let length = match length {
            Length::Small(bytes) => bytes.into(),
            Length::Medium(bytes) => bytes.into(),
            Length::Large(bytes) => u64::from(bytes) % (8 << 20),
            Length::Beyond(bytes) => bytes.max(most + 1),
        };
        let live: u64 = self.reference.buffers.iter().filter(|b| self.reference.present(b)).map(|b| b.length).sum();
        if length <= most && live + length > MOST_BYTES {
            return Ok(());
        }
        let align = 1_u64 << exponent;
        let init = if zeroed { Init::Zeroed } else { Init::Uninit };
        let handle = self.regions[region];
        let made = by.go(|heap| heap.alloc(handle, length, align, init));
        let expected = self.reference.may_alloc(region, length, align, most);
        let mut step = json!({ "do": "alloc", "region": format!("r{region}"), "length": length, "align": align });
        if length >= 1 << 53 {
            step["length"] = json!(length.to_string());
        }
        if !zeroed {
            step["init"] = json!("uninit");
        }
        let content = zeroed.then(|| vec![0; length.min(MOST_BYTES) as usize]);
        self.made(by, "alloc", step, (region, length, align), content, made, expected)
    }

    fn alloc_from(&mut self, by: By<'_>, number: u8, length: u16, byte: u8) -> Agreed {
        let Some(region) = pick(number, self.regions.len()) else { return Ok(()) };
        let handle = self.regions[region];
        // The step `string` makes it from text.
        let bytes = vec![byte & 0x7f; usize::from(length)];
        let made = by.go(|heap| heap.alloc_from(handle, &bytes, 64));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let step = json!({ "do": "string", "region": format!("r{region}"), "text": text });
        let expected = self.reference.may_alloc(region, length.into(), 64, u64::MAX);
        let before = self.buffers.len();
        self.made(by, "alloc_from", step, (region, length.into(), 64), Some(bytes), made, expected)?;
        if self.buffers.len() > before {
            self.reference.ingest(region, length.into());
        }
        Ok(())
    }

    /// Judges an allocation. How much of a region's limit chunks take is the heap's own affair, so that a region with a
    /// limit may refuse; one with nothing in it has room for a page.
    #[expect(clippy::too_many_arguments, reason = "what both ways to allocate have in common")]
    fn made(
        &mut self,
        by: By<'_>,
        what: &str,
        step: serde_json::Value,
        (region, length, align): (usize, u64, u64),
        content: Option<Vec<u8>>,
        made: Result<Handle, Error>,
        mut expected: Answer,
    ) -> Agreed {
        let limited = matches!(&made, Err(error) if error.code() == ErrorCode::LimitReached);
        let state = &self.reference.regions[region];
        if expected.is_ok() && limited && state.limit.is_some() && (state.counts.allocations > 0 || length > 4096) {
            expected = Err(ErrorCode::LimitReached.into());
        }
        let index = self.buffers.len();
        self.case.step(by.attachment, step, Some(format!("b{index}")), &expected);
        if let Some(made) = agree(what, made, &expected)? {
            if self.buffers.contains(&made) {
                return Err(format!("{what} gives {made} a second time"));
            }
            self.reference.alloc(region, length, align, content);
            self.buffers.push(made);
        }
        Ok(())
    }

    fn borrow(&mut self, by: By<'_>, number: u8, kind: BorrowKind) -> Agreed {
        let Some(buffer) = pick(number, self.buffers.len()) else { return Ok(()) };
        let expected = self.reference.borrow(buffer, kind, by.attachment);
        let index = self.leases.len();
        let step = json!({ "do": format!("borrow_{}", kind.name()), "buffer": format!("b{buffer}") });
        self.case.step(by.attachment, step, Some(format!("v{index}")), &expected);
        let handle = self.buffers[buffer];
        let lease = agree("borrow", by.go(|heap| heap.borrow(handle, kind)), &expected)?;
        if let Some(lease) = lease {
            let address = lease.as_ptr() as usize as u64;
            self.leases.push((self.reference.borrows.len() - 1, Some(lease)));
            self.read(index)?;
            if !address.is_multiple_of(self.reference.buffers[buffer].align) {
                return Err(format!("{handle} is at {address:#x}, not aligned as it was asked"));
            }
        }
        Ok(())
    }

    /// Reads the bytes of a live lease.
    fn read(&mut self, index: usize) -> Agreed {
        let (borrow, Some(lease)) = &self.leases[index] else { return Ok(()) };
        let buffer = &self.reference.buffers[self.reference.borrows[*borrow].buffer];
        let bytes = lease.as_slice();
        if bytes.len() as u64 != buffer.length {
            let step = json!({ "do": "view_length", "view": format!("v{index}") });
            self.case.result(0, step, "value", buffer.length);
            return Err(format!("a view of {} has {} bytes, expected {}", lease.handle(), bytes.len(), buffer.length));
        }
        let Some(content) = &buffer.content else { return Ok(()) };
        if bytes == content {
            return Ok(());
        }
        let at = bytes.iter().zip(content).position(|(found, wanted)| found != wanted).unwrap_or_default();
        let step = json!({ "do": "read", "view": format!("v{index}"), "at": at, "length": 1 });
        self.case.result(0, step, "hex", hex(&content[at..at + 1]));
        Err(format!("byte {at} of {} is {:#x}, expected {:#x}", lease.handle(), bytes[at], content[at]))
    }

    fn release(&mut self, by: By<'_>, number: u8) -> Agreed {
        let Some(index) = pick(number, self.leases.len()) else { return Ok(()) };
        self.read(index)?;
        self.case.step(0, json!({ "do": "release", "view": format!("v{index}") }), None, &Ok(()));
        let (borrow, lease) = &mut self.leases[index];
        if let Some(lease) = lease.take() {
            by.go(move |_| drop(lease));
            self.reference.end(*borrow);
        }
        Ok(())
    }

    fn write(&mut self, number: u8, at: usize, byte: u8) -> Agreed {
        let Some(index) = pick(number, self.leases.len()) else { return Ok(()) };
        let (borrow, Some(lease)) = &mut self.leases[index] else { return Ok(()) };
        let borrow = self.reference.borrows[*borrow];
        let Some(bytes) = lease.as_mut_slice() else {
            let shared = borrow.kind == BorrowKind::Shared;
            return if shared { Ok(()) } else { Err("a unique lease cannot be written".to_owned()) };
        };
        let content = &mut self.reference.buffers[borrow.buffer].content;
        // Uninitialised bytes are known once all of them are written.
        let range = match content {
            Some(_) => at.min(bytes.len())..(at + WRITTEN).min(bytes.len()),
            None => 0..bytes.len(),
        };
        if range.is_empty() {
            return Ok(());
        }
        bytes[range.clone()].fill(byte);
        content.get_or_insert_with(|| vec![byte; bytes.len()])[range.clone()].fill(byte);
        let hex = hex(&bytes[range.clone()]);
        let step = json!({ "do": "write", "view": format!("v{index}"), "at": range.start, "hex": hex });
        self.case.step(0, step, None, &Ok(()));
        Ok(())
    }

    fn begin(&mut self, by: By<'_>, number: u8, kind: BorrowKind) -> Agreed {
        let Some(buffer) = pick(number, self.buffers.len()) else { return Ok(()) };
        let expected = self.reference.borrow(buffer, kind, by.attachment);
        let index = self.tokens.len();
        let step = json!({ "do": "begin", "buffer": format!("b{buffer}"), "kind": kind.name() });
        self.case.step(by.attachment, step, Some(format!("t{index}")), &expected);
        let handle = self.buffers[buffer];
        let begun = by.go(|heap| heap.borrow_raw(handle, kind).map(|raw| (raw.token, raw.length as u64)));
        if let Some((token, length)) = agree("borrow_raw", begun, &expected)? {
            if self.tokens.iter().any(|(_, known)| *known == token) {
                return Err(format!("{token:?} is given a second time"));
            }
            if length != self.reference.buffers[buffer].length {
                return Err(format!("a borrow of {handle} has {length} bytes"));
            }
            self.tokens.push((self.reference.borrows.len() - 1, token));
        }
        Ok(())
    }

    fn end(&mut self, by: By<'_>, number: u8) -> Agreed {
        let Some(index) = pick(number, self.tokens.len()) else { return Ok(()) };
        let (borrow, token) = self.tokens[index];
        let known = self.reference.borrows[borrow];
        // A token is good once, in the attachment that began it (B7).
        let good = known.live && known.attachment == by.attachment;
        let expected: Answer = if good { Ok(()) } else { Err(ErrorCode::StaleHandle.into()) };
        self.case.step(by.attachment, json!({ "do": "end", "token": format!("t{index}") }), None, &expected);
        agree("end", by.go(|heap| heap.end(token)), &expected)?;
        if good {
            self.reference.end(borrow);
        }
        Ok(())
    }

    fn end_forged(&mut self, by: By<'_>, number: u8, xor: u64) -> Agreed {
        let index = pick(number, self.tokens.len());
        let bits = index.map_or(0, |index| self.tokens[index].1.to_bits()) ^ xor;
        let token = Token::from_bits(bits);
        let leased = self.leases.iter().filter_map(|(_, lease)| lease.as_ref()).any(|lease| lease.token() == token);
        if leased || self.tokens.iter().any(|(_, known)| *known == token) {
            return Ok(());
        }
        let mut step = json!({ "do": "forge_token" });
        match index {
            Some(index) => {
                step["token"] = json!(format!("t{index}"));
                step["xor"] = json!(format!("{xor:016x}"));
            }
            None => step["bits"] = json!(bits.to_string()),
        }
        let name = self.forged_name();
        self.case.step(by.attachment, step, Some(name.clone()), &Ok(()));
        let expected: Answer = Err(ErrorCode::StaleHandle.into());
        self.case.step(by.attachment, json!({ "do": "end", "token": name }), None, &expected);
        agree("end of a forged token", by.go(|heap| heap.end(token)), &expected).map(drop)
    }

    fn forged_name(&mut self) -> String {
        self.forged += 1;
        format!("f{}", self.forged)
    }

    fn wait_idle(&mut self, by: By<'_>, number: u8) -> Agreed {
        let Some(index) = pick(number, self.regions.len()) else { return Ok(()) };
        let expected = self.reference.wait_idle(index);
        let step = json!({ "do": "wait_idle", "region": format!("r{index}"), "timeout": 0 });
        self.case.step(by.attachment, step, None, &expected);
        let handle = self.regions[index];
        agree("wait_idle", by.go(|heap| heap.wait_idle(handle, Some(Duration::ZERO))), &expected).map(drop)
    }

    fn chosen(&self, number: u8, region: bool) -> Option<Named> {
        match region {
            true => pick(number, self.regions.len()).map(Named::Region),
            false => pick(number, self.buffers.len()).map(Named::Buffer),
        }
    }

    pub(crate) fn handle(&self, named: Named) -> Handle {
        match named {
            Named::Region(index) => self.regions[index],
            Named::Buffer(index) => self.buffers[index],
        }
    }

    fn publish(&mut self, by: By<'_>, number: u8, region: bool, name: u8) -> Agreed {
        let Some(named) = self.chosen(number, region) else { return Ok(()) };
        let expected = self.reference.publish(name % 4, named);
        let step = json!({ "do": "publish", "name": published(name), "handle": name_of(named) });
        self.case.step(by.attachment, step, None, &expected);
        let handle = self.handle(named);
        agree("publish", by.go(|heap| heap.publish(&published(name), handle)), &expected).map(drop)
    }

    fn lookup(&mut self, by: By<'_>, name: u8) -> Agreed {
        let step = json!({ "do": "lookup", "name": published(name) });
        let found = by.go(|heap| heap.lookup(&published(name)));
        match self.reference.named(name % 4) {
            Some(named) => {
                self.case.result(by.attachment, step, "handle", name_of(named));
                let (wanted, found) = (self.handle(named), agree("lookup", found, &Ok(()))?);
                if found == Some(wanted) { Ok(()) } else { Err(format!("lookup finds {found:?}, expected {wanted}")) }
            }
            None => {
                let expected: Answer = Err(ErrorCode::NotFound.into());
                self.case.step(by.attachment, step, None, &expected);
                agree("lookup", found, &expected).map(drop)
            }
        }
    }

    fn forge(&mut self, by: By<'_>, number: u8, region: bool, xor: u64, using: Using) -> Agreed {
        let base = self.chosen(number, region);
        let handle = Handle::from_bits(base.map_or(0, |named| self.handle(named).to_bits()) ^ xor);
        let as_region = matches!(using, Using::Alloc | Using::Reset | Using::Close | Using::CloseWhenIdle);
        // A handle that was given out is good for nothing but what it is.
        let (is_region, is_buffer) = (self.regions.contains(&handle), self.buffers.contains(&handle));
        let honest = if as_region { is_region } else { is_buffer };
        if honest || using == Using::Publish && (is_region || is_buffer) {
            return Ok(());
        }
        let mut step = json!({ "do": "forge" });
        match base {
            Some(named) => {
                step["handle"] = json!(name_of(named));
                step["xor"] = json!(format!("{xor:016x}"));
            }
            None => step["bits"] = json!(xor.to_string()),
        }
        let name = self.forged_name();
        self.case.step(by.attachment, step, Some(name.clone()), &Ok(()));
        let never = Some("never".to_owned());
        type Act = fn(&Heap, Handle) -> Result<(), Error>;
        let (step, made, act): (_, _, Act) = match using {
            Using::Free => (json!({ "do": "free", "buffer": name }), None, Heap::free),
            Using::BorrowShared => {
                let act: Act = |heap, handle| heap.borrow(handle, BorrowKind::Shared).map(drop);
                (json!({ "do": "borrow_shared", "buffer": name }), never, act)
            }
            Using::BorrowUnique => {
                let act: Act = |heap, handle| heap.borrow(handle, BorrowKind::Unique).map(drop);
                (json!({ "do": "borrow_unique", "buffer": name }), never, act)
            }
            Using::Freeze => (json!({ "do": "freeze", "buffer": name }), None, Heap::freeze),
            Using::Alloc => {
                let act: Act = |heap, handle| heap.alloc(handle, 1, 1, Init::Zeroed).map(drop);
                (json!({ "do": "alloc", "region": name, "length": 1 }), never, act)
            }
            Using::Reset => (json!({ "do": "reset", "region": name }), None, Heap::reset),
            Using::Close => (json!({ "do": "close", "region": name }), None, Heap::close),
            Using::CloseWhenIdle => (json!({ "do": "close_when_idle", "region": name }), None, Heap::close_when_idle),
            Using::Publish => {
                let act: Act = |heap, handle| heap.publish("forged", handle);
                (json!({ "do": "publish", "name": "forged", "handle": name }), None, act)
            }
        };
        let expected: Answer = Err(ErrorCode::StaleHandle.into());
        self.case.step(by.attachment, step, made, &expected);
        agree(&format!("{using:?} of {handle}"), by.go(|heap| act(heap, handle)), &expected).map(drop)
    }

    fn detach(&mut self, by: By<'_>) -> Agreed {
        if self.reference.holders(|borrow| borrow.attachment == by.attachment).is_empty() {
            return Ok(());
        }
        let expected: Answer = Err(ErrorCode::Borrowed.into());
        self.case.step(by.attachment, json!({ "do": "detach", "heap": "h" }), None, &expected);
        agree("detach", by.go(Heap::detach), &expected).map(drop)
    }

    /// Ends and closes all there is: nothing is left (the heap's own end is the caller's).
    pub(crate) fn finish(&mut self) -> Agreed {
        for number in 0..self.leases.len() {
            self.read(number)?;
            let (borrow, lease) = &mut self.leases[number];
            if lease.take().is_some() {
                self.reference.end(*borrow);
            }
        }
        for (borrow, token) in std::mem::take(&mut self.tokens) {
            let known = self.reference.borrows[borrow];
            if known.live {
                self.heaps[known.attachment].end(token).map_err(|error| format!("end at the end: {error}"))?;
                self.reference.end(borrow);
            }
        }
        for index in 0..self.regions.len() {
            let expected = self.reference.empty(index, false);
            agree("close at the end", self.heaps[0].close(self.regions[index]), &expected)?;
        }
        self.heaps.iter().try_for_each(|heap| self.compare(heap)).map_err(|what| format!("at the end: {what}"))
    }
}
