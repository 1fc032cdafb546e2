//! Directory handles, modes, owners, access control lists and leases on Unix.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};

use super::dir::{Dir, Identity, Kind, Stat};

/// Does not follow a link, nor wait for a FIFO.
const SAFELY: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Needs no right to list the directory, only to search it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

pub fn stat_file(file: &File) -> io::Result<Stat> {
    Ok(stat_of(&rustix::fs::fstat(file)?))
}

/// The identity of what is at `path`, through all links.
pub fn identity_at(path: &Path) -> io::Result<Identity> {
    Ok(stat_of(&rustix::fs::stat(path)?).identity)
}

#[allow(
    clippy::cast_sign_loss,
    clippy::useless_conversion,
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    reason = "the types of these fields differ between systems"
)]
fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Special("a FIFO"),
        FileType::Socket => Kind::Special("a socket"),
        _ => Kind::Special("a device"),
    };
    Stat {
        kind,
        size: stat.st_size as u64,
        identity: Identity(stat.st_dev as u64, stat.st_ino as u64),
        mode: u32::from(stat.st_mode) & 0o7777,
        owner: (stat.st_uid, stat.st_gid),
    }
}

impl Dir {
    /// Opens the directory at `path`, following links.
    pub fn open(path: &Path) -> io::Result<Dir> {
        Ok(Dir {
            handle: rustix::fs::open(path, DIRECTORY, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// Opens the directory `name` in this one, which must not be a link.
    pub fn enter(&self, name: &str) -> io::Result<Dir> {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        Ok(Dir {
            handle: rustix::fs::openat(&self.handle, name, flags, Mode::empty())?,
            path: self.path_of(name),
        })
    }

    /// Another handle to the same directory.
    pub fn try_clone(&self) -> io::Result<Dir> {
        Ok(Dir {
            handle: self.handle.try_clone()?,
            path: self.path.clone(),
        })
    }

    pub(super) fn open_any(&self, name: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | SAFELY;
        Ok(rustix::fs::openat(&self.handle, name, flags, Mode::empty())?.into())
    }

    /// Opened to be read where writing is refused, as in a sandbox: a lock needs no write access.
    pub(super) fn open_any_lock(&self, name: &str) -> io::Result<File> {
        match rustix::fs::openat(&self.handle, name, OFlags::RDWR | SAFELY, Mode::empty()) {
            Ok(file) => Ok(file.into()),
            Err(refused) => Ok(self.open_any(name.as_ref()).map_err(|_| refused)?),
        }
    }

    pub(super) fn stat_of(&self, name: &str) -> io::Result<Stat> {
        let stat = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(stat_of(&stat))
    }

    /// The directory's own metadata.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(&rustix::fs::fstat(&self.handle)?))
    }

    /// Makes the file `name`, which must not exist, with that mode less the umask.
    pub fn create(&self, name: &str, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | SAFELY;
        Ok(rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(raw(mode)))?.into())
    }

    /// Renames `from` over whatever file has the name `to`.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.handle, from, &self.handle, to)?)
    }

    /// Swaps two files, if the system and the file system can.
    pub fn exchange(&self, one: &str, other: &str) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
        return Ok(rustix::fs::renameat_with(
            &self.handle,
            one,
            &self.handle,
            other,
            rustix::fs::RenameFlags::EXCHANGE,
        )?);
        #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
        return Err(io::ErrorKind::Unsupported.into());
    }

    /// Renames `from` to `to`; fails with `AlreadyExists` if something has that name. Done by a
    /// second link, which fails if the name is taken. A file system without links gets a look and a
    /// rename.
    pub fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        match rustix::fs::linkat(&self.handle, from, &self.handle, to, AtFlags::empty()) {
            Ok(()) => self.unlink(from),
            Err(rustix::io::Errno::EXIST) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) if self.stat_of(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => self.rename(from, to),
        }
    }

    /// Removes the file or link `name`.
    pub fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// Removes the empty directory `name`.
    pub fn remove_dir(&self, name: &str) -> io::Result<()> {
        let flags = AtFlags::REMOVEDIR;
        Ok(rustix::fs::unlinkat(&self.handle, name, flags)?)
    }
}

/// Gives `file` that owner and group, as far as this process may: what root makes for a user must
/// stay the user's.
pub fn give_owner(file: &File, (owner, group): (u32, u32)) {
    let Ok(now) = stat_file(file) else { return };
    // One by one: a member of the group may only change the group.
    if now.owner.1 != group {
        let _ = rustix::fs::fchown(file, None, Some(Gid::from_raw(group)));
    }
    if now.owner.0 != owner {
        let _ = rustix::fs::fchown(file, Some(Uid::from_raw(owner)), None);
    }
}

/// Gives `file`, in a directory that is shared as `common` says, the owner and group of that and
/// the mode `mode`, whatever the umask, as far as this process may.
pub fn share(file: &File, common: &Stat, mode: u32) {
    give_owner(file, common.owner);
    if stat_file(file).is_ok_and(|now| now.mode != mode) {
        let _ = rustix::fs::fchmod(file, Mode::from_raw_mode(raw(mode)));
    }
}

/// Gives `new` the owner, group, mode and access control list of `old`.
///
/// # Errors
/// The list or the mode cannot be kept, so that others could come to read the file.
pub fn keep_access(new: &File, old: &File) -> io::Result<()> {
    let wanted = stat_file(old)?;
    give_owner(new, wanted.owner);
    let is_of_group = stat_file(new)?.owner.1 == wanted.owner.1;
    if copy_access_list(new, old)? {
        // The list includes the permission bits, also those of the group.
        return if is_of_group {
            Ok(())
        } else {
            Err(io::Error::other(
                "its group cannot be kept, which its access control list names",
            ))
        };
    }
    // Another group must not get the old group's rights.
    let mode = if is_of_group {
        wanted.mode
    } else {
        wanted.mode & !0o070
    };
    Ok(rustix::fs::fchmod(new, Mode::from_raw_mode(raw(mode)))?)
}

/// The mode in the system's own type.
#[allow(
    clippy::useless_conversion,
    reason = "the type has 16 bits on macOS and 32 on Linux"
)]
fn raw(mode: u32) -> rustix::fs::RawMode {
    rustix::fs::RawMode::try_from(mode).expect("a mode has 12 bits")
}

/// Copies the access control list of `old` to `new`; returns whether `old` has one. If not, removes
/// the one that `new` got from its directory's default list.
#[cfg(target_os = "linux")]
fn copy_access_list(new: &File, old: &File) -> io::Result<bool> {
    use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
    use rustix::io::Errno;
    const LIST: &str = "system.posix_acl_access";
    // The largest size of a list.
    let mut list = vec![0; 64 * 1024];
    match fgetxattr(old, LIST, &mut list[..]) {
        Ok(length) => {
            fsetxattr(new, LIST, &list[..length], XattrFlags::empty())?;
            Ok(true)
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => match fremovexattr(new, LIST) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// On other systems, lists are not copied (see `docs/platforms.md`).
#[cfg(not(target_os = "linux"))]
fn copy_access_list(_new: &File, _old: &File) -> io::Result<bool> {
    Ok(false)
}

/// Whether another process has `file`, opened for reading, open for writing. Exactly then, a read
/// lease is refused with EAGAIN. The lease is given back at once, because while it is held, whoever
/// opens the file for writing has to wait.
#[cfg(target_os = "linux")]
pub fn is_open_for_writing(file: &File) -> bool {
    use std::os::fd::AsRawFd;
    // The libc crate does not name it.
    const F_SETSIG: libc::c_int = 10;
    #[expect(unsafe_code, reason = "neither std nor rustix has leases")]
    let control = |command, argument: libc::c_int| unsafe {
        libc::fcntl(file.as_raw_fd(), command, argument)
    };
    // If somebody opens the file at that moment, the kernel sends a signal. SIGIO, the default,
    // would kill this process; SIGURG is ignored.
    control(F_SETSIG, libc::SIGURG);
    if control(libc::F_SETLEASE, libc::c_int::from(libc::F_RDLCK)) == 0 {
        control(libc::F_SETLEASE, libc::c_int::from(libc::F_UNLCK));
        return false;
    }
    io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
}

/// Other systems cannot say.
#[cfg(not(target_os = "linux"))]
pub fn is_open_for_writing(_file: &File) -> bool {
    false
}
