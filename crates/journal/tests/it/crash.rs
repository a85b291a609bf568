//! Crash consistency: random runs on a recording disk, and every kind of disk that a power cut
//! may leave of them.

use std::rc::Rc;
use std::sync::Arc;

use journal::disk::Disk;
use journal::disk::sim::{Replay, SimDisk, Step};
use journal::{AppendError, Entry, Journal, Kind, durable, verify};

use crate::world::{
    Dice, Expectation, Expected, chain_of, compare, keep, open, removed_is_gone, root,
};

const NOTE: &str = "/data/note";

/// A run: what is done to a journal, and what must hold at each mark.
struct Run {
    disk: SimDisk,
    dice: Dice,
    now: Expectation,
    marks: Vec<Expectation>,
    notes: u64,
    /// Whether syncs fail now and then.
    faults: bool,
}

impl Run {
    fn new(seed: u64, faults: bool) -> Run {
        let now = Expectation {
            note: vec![None],
            ..Expectation::default()
        };
        Run {
            disk: SimDisk::recording(),
            dice: Dice(seed),
            now,
            marks: Vec::new(),
            notes: 0,
            faults,
        }
    }

    fn mark(&mut self) {
        self.disk.mark(self.marks.len() as u64);
        self.marks.push(self.now.clone());
    }

    /// What is tried from here may be there after a crash.
    fn trying(&mut self, may: Vec<Rc<Expected>>) {
        self.now.may = may;
        self.mark();
    }

    fn done(&mut self) {
        let may = std::mem::take(&mut self.now.may);
        self.now.sure.extend(may);
        self.mark();
    }

    fn open(&mut self) -> Result<Journal, String> {
        loop {
            if self.faults && self.dice.below(6) == 0 {
                let after = self.dice.roll() % 8;
                self.disk.fail_sync(after, std::io::ErrorKind::Other);
            }
            match open(&self.disk) {
                Ok(opened) => {
                    let count = compare(&opened.journal.reader(), &self.now)?;
                    let mut all = std::mem::take(&mut self.now.sure);
                    all.append(&mut self.now.may);
                    all.truncate(count);
                    self.now.sure = all;
                    self.mark();
                    return Ok(opened.journal);
                }
                // A failure may also be left over from the action before.
                Err(e) if self.faults && e.contains("other error") => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn batch(&mut self, journal: &Journal) -> Vec<Rc<Expected>> {
        let mut batch = Vec::new();
        let mut room = journal.batch_limit();
        for _ in 0..=self.dice.below(4) {
            let (body, len) = (self.dice.below(300), self.dice.below(1500));
            let kind = self.dice.below(10);
            let mut expected = Expected {
                kind: Kind::Data,
                body: self.dice.bytes(body),
                payload: (kind >= 4).then(|| self.dice.bytes(len)),
                in_file: kind >= 7,
            };
            if kind == 0
                && let Some(removes) = self.removable()
            {
                expected.kind = Kind::Removal { removes };
            }
            if expected.in_file && !self.kept(journal, &expected) {
                continue;
            }
            let stored = expected.entry().stored_len();
            if stored > room {
                break;
            }
            room -= stored;
            batch.push(Rc::new(expected));
        }
        batch
    }

    fn kept(&mut self, journal: &Journal, expected: &Expected) -> bool {
        let Some(bytes) = &expected.payload else {
            return false;
        };
        self.now.kept = None;
        self.mark();
        if keep(journal, bytes).is_err() {
            return false;
        }
        self.now.kept = Some(bytes.clone());
        self.mark();
        true
    }

    fn removable(&mut self) -> Option<u64> {
        if self.now.sure.is_empty() {
            return None;
        }
        let position = self.dice.below(self.now.sure.len());
        self.now.sure[position].payload.as_ref()?;
        Some(position as u64 + 1)
    }

    fn note(&mut self) {
        self.notes += 1;
        self.now.note.push(Some(self.notes));
        self.mark();
        let written = durable::write_file(&self.disk, NOTE.as_ref(), &self.notes.to_le_bytes());
        if written.is_ok() {
            self.now.note = vec![Some(self.notes)];
            self.mark();
        }
    }

    /// One action; `None` if the journal must be opened again.
    fn act(&mut self, mut journal: Journal) -> Result<Option<Journal>, String> {
        if self.faults && self.dice.below(8) == 0 {
            let after = self.dice.roll() % 6;
            self.disk.fail_sync(after, std::io::ErrorKind::Other);
        }
        match self.dice.below(16) {
            0 => {
                if self
                    .now
                    .sure
                    .last()
                    .is_none_or(|last| last.kind != Kind::Stopped)
                    && !self.now.sure.is_empty()
                {
                    self.trying(vec![Rc::new(Expected::stopped())]);
                }
                if journal.stop().is_ok() {
                    self.done();
                }
                return Ok(None);
            }
            1 => return Ok(None),
            2 => {
                // What a sweep takes was kept for nothing.
                self.now.kept = None;
                self.mark();
                match journal.sweep() {
                    Ok(_) | Err(journal::ReadError::Io { .. }) => {}
                    Err(e) => return Err(format!("sweep: {e}")),
                }
            }
            3 => self.note(),
            4 => {
                let mut begun = journal.payloads().begin().map_err(|e| e.to_string())?;
                begun.write(b"never kept").map_err(|e| e.to_string())?;
            }
            _ => {
                let batch = self.batch(&journal);
                let entries: Vec<_> = batch.iter().map(|expected| expected.entry()).collect();
                if entries.iter().any(|entry| entry.removes.is_some()) {
                    // It may be the file that leaves.
                    self.now.kept = None;
                }
                self.trying(batch);
                match journal.append(&entries) {
                    Ok(written) if written.len() == entries.len() => self.done(),
                    Ok(written) => return Err(format!("{} written", written.len())),
                    Err(AppendError::Full) if self.faults => self.trying(Vec::new()),
                    Err(AppendError::Failed { .. } | AppendError::ReadOnly) if self.faults => {
                        return Ok(None);
                    }
                    Err(e) => return Err(format!("append: {}", chain_of(&e))),
                }
            }
        }
        Ok(Some(journal))
    }

    fn go(&mut self, actions: usize) -> Result<(), String> {
        let mut journal = self.open()?;
        for _ in 0..actions {
            journal = match self.act(journal)? {
                Some(journal) if !journal.is_read_only() => journal,
                left => {
                    drop(left);
                    self.open()?
                }
            };
        }
        Ok(())
    }

    /// Crashes everywhere in the run and looks at what is left.
    fn check(&self, states: usize) -> Result<usize, String> {
        let mut dice = Dice(self.dice.0 ^ 0xc0_ffee);
        let mut replay = self.disk.replay();
        let nothing = Expectation {
            note: vec![None],
            ..Expectation::default()
        };
        let mut expected = &nothing;
        let mut checked = 0;
        let mut steps = 0;
        let mut before = None;
        // States are widest just before a sync, and what is expected strictest right after a mark.
        loop {
            let widest = before.take();
            let step = replay.step();
            if let (Some(Step::Sync) | None, Some(crashes)) = (step, widest) {
                for (n, disk) in Vec::<SimDisk>::into_iter(crashes).enumerate() {
                    look(&disk, expected, n == 2 && steps % 3 == 0, &mut dice)
                        .map_err(|e| format!("before a sync, step {steps}: {e}"))?;
                    checked += 1;
                }
            }
            let Some(step) = step else { return Ok(checked) };
            if let Step::Mark(mark) = step {
                expected = &self.marks[usize::try_from(mark).unwrap()];
                for disk in crashes(&replay, &mut dice, states) {
                    look(&disk, expected, false, &mut dice)
                        .map_err(|e| format!("after a mark, step {steps}: {e}"))?;
                    checked += 1;
                }
            }
            before = Some(crashes(&replay, &mut dice, states));
            steps += 1;
        }
    }
}

/// Disks that a power cut now may leave: all of them if they are few.
fn crashes(replay: &Replay, dice: &mut Dice, states: usize) -> Vec<SimDisk> {
    let choices = replay.choices();
    let all = choices.iter().try_fold(1usize, |all, n| {
        all.checked_mul(*n).filter(|n| *n <= states)
    });
    if let Some(all) = all {
        return (0..all)
            .map(|mut n| {
                let picks: Vec<_> = choices
                    .iter()
                    .map(|c| {
                        let pick = n % c;
                        n /= c;
                        pick
                    })
                    .collect();
                replay.crash(&picks)
            })
            .collect();
    }
    let newest: Vec<_> = choices.iter().map(|c| c - 1).collect();
    let mut disks = vec![replay.crash(&[]), replay.crash(&newest)];
    while disks.len() < states {
        let picks: Vec<usize> = match dice.below(3) {
            0 => choices.iter().map(|c| dice.below(*c)).collect(),
            // One thing alone came through, or alone did not.
            kind => {
                let one = dice.below(choices.len());
                let pick = |i: usize, c: usize| if (i == one) == (kind == 1) { c - 1 } else { 0 };
                choices
                    .iter()
                    .enumerate()
                    .map(|(i, c)| pick(i, *c))
                    .collect()
            }
        };
        disks.push(replay.crash(&picks));
    }
    disks
}

/// Whether what a crash left is what must be there, also when it is opened and crashes again.
fn look(disk: &SimDisk, expected: &Expectation, deep: bool, dice: &mut Dice) -> Result<(), String> {
    let seam: Arc<dyn Disk> = Arc::new(disk.clone());
    match verify(Arc::clone(&seam), root(), &[]) {
        Ok(report) if report.records >= expected.sure.len() as u64 => {}
        Ok(_) => return Err("verify lacks records".to_owned()),
        Err(journal::VerifyError::NoJournal { .. }) if expected.sure.is_empty() => {}
        // A folder without its first segment yet.
        Err(journal::VerifyError::Io { .. }) if expected.sure.is_empty() => {}
        Err(e) => return Err(format!("verify: {}", chain_of(&e))),
    }
    let note = durable::read_file(disk, NOTE.as_ref()).map_err(|e| e.to_string())?;
    let note = note.map(|bytes| bytes.try_into().map(u64::from_le_bytes));
    match note.transpose() {
        Ok(note) if expected.note.contains(&note) => {}
        _ => return Err("the note is neither the old nor the new one".to_owned()),
    }
    if deep {
        disk.record();
    }
    let opened = open(disk)?;
    if deep {
        let mut again = disk.replay();
        let mut widest = Vec::new();
        while let Some(step) = again.step() {
            if step == Step::Sync {
                for disk in widest {
                    look(&disk, expected, false, dice).map_err(|e| format!("in an open: {e}"))?;
                }
            }
            widest = crashes(&again, dice, 3);
        }
    }
    let mut journal = opened.journal;
    let count = compare(&journal.reader(), expected)?;
    let mut now = Expectation::default();
    now.sure.extend(
        expected
            .sure
            .iter()
            .chain(&expected.may)
            .take(count)
            .cloned(),
    );
    removed_is_gone(disk, &journal.reader(), &now.sure)?;

    // What was found is built upon: it must be as sure as what comes behind it.
    let mut batch = vec![Rc::new(Expected {
        kind: Kind::Data,
        body: b"after the crash".to_vec(),
        payload: None,
        in_file: false,
    })];
    batch.extend(expected.kept.clone().map(|bytes| {
        let (kind, body, payload) = (Kind::Data, Vec::new(), Some(bytes));
        Rc::new(Expected {
            kind,
            body,
            payload,
            in_file: true,
        })
    }));
    let entries: Vec<_> = batch.iter().map(|expected| expected.entry()).collect();
    journal
        .append(&entries)
        .map_err(|e| format!("append after: {}", chain_of(&e)))?;
    now.sure.extend(batch);
    compare(&journal.reader(), &now).map_err(|e| format!("after an append: {e}"))?;
    drop(journal);
    let cut = disk.now().crash(&[]);
    let opened = open(&cut).map_err(|e| format!("the second time: {e}"))?;
    compare(&opened.journal.reader(), &now).map_err(|e| format!("the second time: {e}"))?;
    drop(opened);
    match verify(Arc::new(cut), root(), &[]) {
        Ok(report) if report.torn_tail.is_none() => Ok(()),
        Ok(_) => Err("a torn tail stayed".to_owned()),
        Err(e) => Err(format!("verify the second time: {}", chain_of(&e))),
    }
}

/// Looks at runs from a first seed on; `JOURNAL_RUNS` asks for more of them than the usual three.
fn runs(first: u64, faults: bool) {
    let runs = std::env::var("JOURNAL_RUNS").map_or(3, |runs| runs.parse().unwrap());
    let mut checked = 0;
    for seed in first..first + runs {
        let mut run = Run::new(seed, faults);
        match run.go(30).and_then(|()| run.check(6)) {
            Ok(states) => checked += states,
            Err(e) => panic!("seed {seed}: {e}"),
        }
    }
    assert!(checked > 1000, "only {checked} states were looked at");
}

#[test]
fn whatever_a_power_cut_leaves_holds_what_was_acknowledged() {
    runs(0, false);
}

#[test]
fn whatever_a_power_cut_leaves_after_failed_syncs_holds_what_was_acknowledged() {
    runs(1000, true);
}

#[test]
fn the_checker_finds_what_a_lying_disk_loses() {
    let mut run = Run::new(7, false);
    run.go(2).unwrap();
    run.disk.set_lying(true);
    run.go(6).unwrap();
    let found = run.check(6).unwrap_err();
    let losses = ["are lost", "lacks records", "there is no payload file"];
    assert!(losses.iter().any(|loss| found.contains(loss)), "{found}");
}

#[test]
fn a_footer_whose_sync_failed_is_written_again() {
    let disk = SimDisk::new();
    let mut journal = open(&disk).unwrap().journal;
    let expected = Rc::new(Expected {
        kind: Kind::Data,
        body: vec![1; 1000],
        payload: None,
        in_file: false,
    });
    let entry = Entry {
        uses_reserve: true,
        ..expected.entry()
    };
    let mut now = Expectation::default();
    // Makes the next segment too, so that sealing this one is the next thing to be synced.
    journal.append(&[expected.entry()]).unwrap();
    now.sure.push(Rc::clone(&expected));
    while 64 + (now.sure.len() as u64 + 1) * entry.stored_len() + 144 + 128 <= 8192 {
        journal.append(std::slice::from_ref(&entry)).unwrap();
        now.sure.push(Rc::clone(&expected));
    }
    disk.fail_sync(0, std::io::ErrorKind::Other);
    let failed = journal.append(std::slice::from_ref(&entry)).unwrap_err();
    assert!(matches!(failed, AppendError::Failed { .. }), "{failed}");
    drop(journal);
    // The footer reads well, and is nowhere but in memory.
    let mut journal = open(&disk).unwrap().journal;
    let written = journal.append(std::slice::from_ref(&entry)).unwrap();
    assert_eq!(written[0].location.segment, 2);
    now.sure.push(expected);
    drop(journal);
    let opened = open(&disk.now().crash(&[])).unwrap();
    compare(&opened.journal.reader(), &now).unwrap();
}

#[test]
fn a_removal_that_was_cut_short_is_finished_by_the_next_open() {
    for in_file in [false, true] {
        let disk = SimDisk::new();
        let mut journal = open(&disk).unwrap().journal;
        let data = Expected {
            kind: Kind::Data,
            body: b"stays".to_vec(),
            payload: Some(b"leaves".repeat(30)),
            in_file,
        };
        keep(&journal, data.payload.as_deref().unwrap()).unwrap();
        journal.append(&[data.entry()]).unwrap();
        let removal = Expected {
            kind: Kind::Removal { removes: 1 },
            body: b"why".to_vec(),
            payload: None,
            in_file: false,
        };
        // The record is durable; what it asks for is not.
        disk.fail_sync(1, std::io::ErrorKind::Other);
        journal.append(&[removal.entry()]).unwrap();
        assert!(journal.is_read_only());
        let now = Expectation {
            sure: vec![Rc::new(data), Rc::new(removal)],
            ..Expectation::default()
        };
        let cut = disk.now().crash(&[]);
        removed_is_gone(&cut, &journal.reader(), &now.sure).unwrap_err();
        // Without a crash between, it looks done already and still must be made durable.
        drop(journal);
        let opened = open(&disk).unwrap();
        let later = disk.now().crash(&[]);
        removed_is_gone(&later, &opened.journal.reader(), &now.sure).unwrap();
        let opened = open(&cut).unwrap();
        compare(&opened.journal.reader(), &now).unwrap();
        removed_is_gone(&cut, &opened.journal.reader(), &now.sure).unwrap();
        // And durably so.
        let again = cut.now().crash(&[]);
        removed_is_gone(&again, &opened.journal.reader(), &now.sure).unwrap();
    }
}
