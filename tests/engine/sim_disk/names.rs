//! Directories: which names there are, which are durable, and what lies between.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(u64),
    Dir,
}

type Tree = BTreeMap<PathBuf, Node>;

/// All names, by full path. The root is always there.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    live: Tree,
    durable: Tree,
    unsynced: Vec<NameChange>,
}

/// A change of names that is not durable yet.
#[derive(Debug, Clone)]
pub(super) struct NameChange {
    pub(super) sequence: u64,
    node: Node,
    /// The name that goes away.
    from: Option<PathBuf>,
    /// The name that comes.
    to: Option<PathBuf>,
    /// Directories that must be synced before it is durable.
    waits_for: Vec<PathBuf>,
}

impl NameChange {
    fn apply(&self, tree: &mut Tree) {
        if let Some(from) = &self.from
            && tree.get(from) == Some(&self.node)
        {
            tree.remove(from);
        }
        if let Some(to) = &self.to {
            tree.insert(to.clone(), self.node);
        }
    }
}

/// A path's directory and name.
pub(super) fn split(path: &Path) -> (PathBuf, String) {
    let dir = path.parent().unwrap_or(Path::new("/")).to_path_buf();
    let name = path.file_name().unwrap_or_default();
    (dir, name.to_string_lossy().into_owned())
}

impl Names {
    pub(super) fn check_dir(&self, path: &Path) -> io::Result<()> {
        if path.parent().is_none() || self.live.get(path) == Some(&Node::Dir) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    pub(super) fn check_free(&self, path: &Path) -> io::Result<()> {
        self.check_dir(&split(path).0)?;
        if self.live.contains_key(path) {
            Err(io::ErrorKind::AlreadyExists.into())
        } else {
            Ok(())
        }
    }

    /// The file of this name.
    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        match self.live.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// All files, by path.
    pub(super) fn files(&self) -> Vec<(PathBuf, u64)> {
        let files = self.live.iter().filter_map(|(path, node)| match node {
            Node::File(inode) => Some((path.clone(), *inode)),
            Node::Dir => None,
        });
        files.collect()
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<(String, Node)>> {
        self.check_dir(dir)?;
        let inside = self
            .live
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        Ok(inside.map(|(path, node)| (split(path).1, *node)).collect())
    }

    pub(super) fn link(&mut self, path: &Path, node: Node, sequence: u64) {
        self.change(NameChange {
            sequence,
            node,
            from: None,
            to: Some(path.to_path_buf()),
            waits_for: vec![split(path).0],
        });
    }

    pub(super) fn unlink(&mut self, path: &Path, sequence: u64) -> io::Result<()> {
        let node = Node::File(self.file(path)?);
        self.change(NameChange {
            sequence,
            node,
            from: Some(path.to_path_buf()),
            to: None,
            waits_for: vec![split(path).0],
        });
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, sequence: u64) -> io::Result<()> {
        let node = Node::File(self.file(from)?);
        self.check_dir(&split(to).0)?;
        let mut waits_for = vec![split(from).0, split(to).0];
        waits_for.dedup();
        self.change(NameChange {
            sequence,
            node,
            from: Some(from.to_path_buf()),
            to: Some(to.to_path_buf()),
            waits_for,
        });
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync(&mut self, dir: &Path) {
        for change in &mut self.unsynced {
            change.waits_for.retain(|waiting| waiting != dir);
        }
        let durable = &mut self.durable;
        self.unsynced.retain(|change| {
            if change.waits_for.is_empty() {
                change.apply(durable);
            }
            !change.waits_for.is_empty()
        });
    }

    pub(super) fn put_durable(&mut self, path: &Path, node: Node) {
        self.live.insert(path.to_path_buf(), node);
        self.durable.insert(path.to_path_buf(), node);
    }

    pub(super) fn take_durable(&mut self, path: &Path) {
        self.live.remove(path);
        self.durable.remove(path);
    }

    pub(super) fn unsynced_sequences(&self) -> impl Iterator<Item = u64> {
        self.unsynced.iter().map(|change| change.sequence)
    }

    /// What a power cut leaves when it keeps these of the unsynced changes. A name in a directory that
    /// is gone is gone.
    pub(super) fn after_power_cut(&self, mut keeps: impl FnMut(u64) -> bool) -> Names {
        let mut tree = self.durable.clone();
        for change in &self.unsynced {
            if keeps(change.sequence) {
                change.apply(&mut tree);
            }
        }
        let all = tree.clone();
        let reachable = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            above.all(|dir| dir.parent().is_none() || all.get(dir) == Some(&Node::Dir))
        };
        tree.retain(|path, _| reachable(path));
        Names {
            live: tree.clone(),
            durable: tree,
            unsynced: Vec::new(),
        }
    }
}
