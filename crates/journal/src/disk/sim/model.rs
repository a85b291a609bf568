//! What a disk holds for sure, and what it may hold.
//!
//! A file is a row of sectors. A sector that was written since its last good sync may hold, after
//! a power cut, what it held at that sync or any of what was written since. A failed sync makes
//! nothing sure, and leaves the pages looking clean: a later sync passes over them. A name that
//! was made or removed since its folder was synced may be there or not, each for itself.

use std::collections::BTreeMap;

pub(super) const SECTOR: usize = 512;
/// The folder that is always there.
pub(super) const ROOT: usize = 0;

#[derive(Clone, Debug)]
struct Unsure {
    /// Whether a sync would write it.
    dirty: bool,
    versions: Vec<[u8; SECTOR]>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct FileNode {
    /// What is read.
    pub(super) data: Vec<u8>,
    /// What is sure; as long as it must be, zeros beyond.
    sure: Vec<u8>,
    sure_len: u64,
    unsure: BTreeMap<usize, Unsure>,
    /// Lengths since the last good sync, and whether a sync would write the newest.
    lens: Vec<u64>,
    len_dirty: bool,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Added(String, usize),
    Removed(String),
}

#[derive(Clone, Debug, Default)]
pub(super) struct FolderNode {
    pub(super) names: BTreeMap<String, usize>,
    sure: BTreeMap<String, usize>,
    unsure: Vec<NameChange>,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(FileNode),
    Folder(FolderNode),
}

/// All files and folders, by number.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
}

fn sector_of(data: &[u8], sector: usize) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    let start = (sector * SECTOR).min(data.len());
    let part = &data[start..data.len().min(start + SECTOR)];
    bytes[..part.len()].copy_from_slice(part);
    bytes
}

impl FileNode {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        self.lengthen(end);
        self.data[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let now = sector_of(&self.data, sector);
            // What is sure already stays so.
            if !self.unsure.contains_key(&sector) && now == sector_of(&self.sure, sector) {
                continue;
            }
            let unsure = self.unsure.entry(sector).or_insert_with(|| Unsure {
                dirty: true,
                versions: Vec::new(),
            });
            unsure.dirty = true;
            if unsure.versions.last() != Some(&now) {
                unsure.versions.push(now);
            }
        }
    }

    pub(super) fn lengthen(&mut self, len: usize) {
        if len > self.data.len() {
            lengthen(&mut self.data, len);
            self.lens.push(len as u64);
            self.len_dirty = true;
        }
    }

    pub(super) fn sync(&mut self, good: bool) {
        if good && self.len_dirty {
            self.sure_len = self.data.len() as u64;
            self.lens.clear();
        }
        self.len_dirty = false;
        let FileNode {
            data, sure, unsure, ..
        } = self;
        unsure.retain(|sector, unsure| {
            if good && unsure.dirty {
                set_sector(sure, *sector, &sector_of(data, *sector));
                return false;
            }
            unsure.dirty = false;
            true
        });
    }

    /// How many outcomes each thing that is not sure has.
    fn choices(&self, out: &mut Vec<usize>) {
        if !self.lens.is_empty() {
            out.push(self.lens.len() + 1);
        }
        out.extend(self.unsure.values().map(|unsure| unsure.versions.len() + 1));
    }

    fn crash(&self, picks: &mut impl Iterator<Item = usize>) -> FileNode {
        let mut len = self.sure_len;
        if !self.lens.is_empty() {
            let pick = picks.next().unwrap_or(0);
            len = pick.checked_sub(1).map_or(len, |i| self.lens[i]);
        }
        let mut data = self.sure.clone();
        for (sector, unsure) in &self.unsure {
            let pick = picks.next().unwrap_or(0);
            if let Some(i) = pick.checked_sub(1) {
                set_sector(&mut data, *sector, &unsure.versions[i]);
            }
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        data.truncate(len);
        lengthen(&mut data, len);
        FileNode {
            sure: data.clone(),
            data,
            sure_len: len as u64,
            ..FileNode::default()
        }
    }
}

/// Adds zeros, by the block rather than one by one.
fn lengthen(data: &mut Vec<u8>, len: usize) {
    if len > data.len() {
        let mut longer = vec![0; len];
        longer[..data.len()].copy_from_slice(data);
        *data = longer;
    }
}

fn set_sector(data: &mut Vec<u8>, sector: usize, bytes: &[u8; SECTOR]) {
    let start = sector * SECTOR;
    if data.len() < start + SECTOR {
        lengthen(data, start + SECTOR);
    }
    data[start..start + SECTOR].copy_from_slice(bytes);
}

fn apply(names: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Added(name, node) => names.insert(name.clone(), *node),
        NameChange::Removed(name) => names.remove(name),
    };
}

impl FolderNode {
    pub(super) fn change(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.unsure.push(change);
    }

    pub(super) fn sync(&mut self, good: bool) {
        if good {
            self.sure.clone_from(&self.names);
            self.unsure.clear();
        }
    }

    fn crash(&self, picks: &mut impl Iterator<Item = usize>) -> FolderNode {
        let mut names = self.sure.clone();
        for change in &self.unsure {
            if picks.next().unwrap_or(0) == 1 {
                apply(&mut names, change);
            }
        }
        FolderNode {
            sure: names.clone(),
            names,
            unsure: Vec::new(),
        }
    }
}

impl Model {
    pub(super) fn new() -> Model {
        Model {
            nodes: vec![Node::Folder(FolderNode::default())],
        }
    }

    pub(super) fn file(&mut self, node: usize) -> Option<&mut FileNode> {
        match self.nodes.get_mut(node) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        }
    }

    pub(super) fn folder(&mut self, node: usize) -> Option<&mut FolderNode> {
        match self.nodes.get_mut(node) {
            Some(Node::Folder(folder)) => Some(folder),
            _ => None,
        }
    }

    pub(super) fn choices(&self) -> Vec<usize> {
        let mut out = Vec::new();
        for node in &self.nodes {
            match node {
                Node::File(file) => file.choices(&mut out),
                Node::Folder(folder) => out.extend(folder.unsure.iter().map(|_| 2)),
            }
        }
        out
    }

    pub(super) fn crash(&self, picks: &[usize]) -> Model {
        let mut picks = picks.iter().copied();
        let nodes = self
            .nodes
            .iter()
            .map(|node| match node {
                Node::File(file) => Node::File(file.crash(&mut picks)),
                Node::Folder(folder) => Node::Folder(folder.crash(&mut picks)),
            })
            .collect();
        Model { nodes }
    }
}
