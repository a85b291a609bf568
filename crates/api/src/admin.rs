//! The admin socket: `admin.sock` in the data folder, the operator's door.
//!
//! It has mode 0600 from the moment it exists. Both ends reach it through
//! `/proc/self/fd/N/admin.sock`, because a socket's path may have 107 bytes at most and a data
//! folder's may have more.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixStream;

/// The socket's name in the data folder.
pub const SOCKET: &str = "admin.sock";

/// Where the admin socket of a data folder is.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    data.join(SOCKET)
}

/// The data folder, open for naming what is in it.
fn folder(data: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(data, flags, Mode::empty())?)
}

/// A short path to the socket, valid while the folder stays open.
fn through(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())
}

/// The bound socket; dropping it removes its file.
#[derive(Debug)]
pub(crate) struct Socket {
    folder: OwnedFd,
    listener: Option<UnixListener>,
}

impl Socket {
    /// Makes the socket, in place of one that an earlier daemon left. The caller holds the data
    /// folder's lock, so no living daemon can own the old one.
    pub(crate) fn bind(data: &Path) -> io::Result<Self> {
        let folder = folder(data)?;
        match rustix::fs::statat(&folder, SOCKET, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {
                rustix::fs::unlinkat(&folder, SOCKET, AtFlags::empty())?;
            }
            Ok(_) => {
                let text = format!("{} is there and is not a socket", path(data).display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // The kernel gives the file the mode of the socket that is bound (less the umask), so
        // there is no moment at which others could connect.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(through(&folder))?)?;
        rustix::fs::chmodat(&folder, SOCKET, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
        rustix::net::listen(&socket, 64)?;
        Ok(Self {
            folder,
            listener: Some(UnixListener::from(socket)),
        })
    }

    /// The listening end, once.
    pub(crate) fn listener(&mut self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.take();
        let listener = listener.ok_or_else(|| io::Error::other("the listener was taken before"))?;
        tokio::net::UnixListener::from_std(listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // What is left of it does no harm: the next start replaces it.
        let _ = rustix::fs::unlinkat(&self.folder, SOCKET, AtFlags::empty());
    }
}

/// Connects to the admin socket of a data folder.
pub(crate) async fn connect(data: &Path) -> io::Result<UnixStream> {
    let folder = folder(data)?;
    UnixStream::connect(through(&folder)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn long(root: &Path) -> PathBuf {
        let data = root.join("x".repeat(120)).join("ấ".repeat(60));
        std::fs::create_dir_all(&data).unwrap();
        data
    }

    #[tokio::test]
    async fn the_socket_is_for_its_owner_alone_and_its_path_may_be_long() {
        let root = tempfile::tempdir().unwrap();
        for data in [root.path().to_owned(), long(root.path())] {
            let mut socket = Socket::bind(&data).unwrap();
            let mode = std::fs::symlink_metadata(path(&data))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o7777, 0o600);
            let listener = socket.listener().unwrap();
            let (near, far) = tokio::join!(connect(&data), listener.accept());
            near.unwrap();
            let uid = far.unwrap().0.peer_cred().unwrap().uid();
            assert_eq!(uid, rustix::process::geteuid().as_raw());
            drop(socket);
            assert!(!path(&data).exists());
        }
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_another_file_is_not() {
        let root = tempfile::tempdir().unwrap();
        let data = long(root.path());
        let left = Socket::bind(&data).unwrap();
        let inode = std::fs::symlink_metadata(path(&data)).unwrap().ino();
        // As after a kill: nobody listens any more, the file stays.
        std::mem::forget(left);
        let _fresh = Socket::bind(&data).unwrap();
        assert_ne!(std::fs::symlink_metadata(path(&data)).unwrap().ino(), inode);

        let other = tempfile::tempdir().unwrap();
        std::fs::File::create(path(other.path())).unwrap();
        let refused = Socket::bind(other.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert!(path(other.path()).exists());
    }

    #[tokio::test]
    async fn connecting_where_nobody_listens_fails_at_once() {
        let root = tempfile::tempdir().unwrap();
        let absent = connect(root.path()).await.unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
        let socket = Socket::bind(root.path()).unwrap();
        let Socket {
            folder: _kept,
            listener,
        } = &socket;
        assert!(listener.is_some());
        let mut socket = socket;
        drop(socket.listener().unwrap());
        let refused = connect(root.path()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
