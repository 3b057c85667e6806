//! What a file is, told from its first bytes: the checks that need no dynamic linker and run nothing.
//!
//! It gives the errors that help most ("it is a PNG picture", "it is built for AArch64") for the mistakes that
//! are made most. It does not know what a plugin contains: to parse foreign files is the child's part.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use libc::{
    EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
    EM_386, EM_AARCH64, EM_ARM, EM_MIPS, EM_NONE, EM_PPC, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64, ET_CORE,
    ET_DYN, ET_EXEC, ET_REL,
};
use watchpost_sinkhost_protocol::LoadFault;
use watchpost_sinkhost_protocol::limits::MAX_PLUGIN_BYTES;

/// What an ELF file begins with.
const MAGIC: [u8; 4] = [ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3];
/// Where `e_type` stands in a header of either class.
const E_TYPE: usize = 16;
/// Where `e_machine` does.
const E_MACHINE: usize = 18;
/// As much of the header as the checks need: up to and including `e_machine`.
const HEAD_BYTES: usize = 20;

/// The machines Watchpost may meet.
const MACHINES: [(u16, &str); 9] = [
    (EM_386, "32-bit x86"),
    (EM_MIPS, "MIPS"),
    (EM_PPC, "32-bit PowerPC"),
    (EM_PPC64, "64-bit PowerPC"),
    (EM_S390, "IBM S/390"),
    (EM_ARM, "32-bit ARM"),
    (EM_X86_64, "x86-64"),
    (EM_AARCH64, "64-bit ARM (AArch64)"),
    (EM_RISCV, "RISC-V"),
];

/// First bytes of what people mistake for a plugin.
const LOOKALIKES: [(&[u8], &str); 11] = [
    (b"#!", "a script"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"!<arch>\n", "a static library (.a)"),
    (b"MZ", "a Windows library or program"),
    (b"\xcf\xfa\xed\xfe", "a macOS library or program"),
    (b"\xca\xfe\xba\xbe", "a macOS library or program"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\0asm", "a WebAssembly module"),
];

/// Checks that `path` is a shared library for this machine.
pub(crate) fn check(path: &Path) -> Result<(), LoadFault> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => LoadFault::Missing,
        _ => LoadFault::Unreadable {
            reason: error.to_string(),
        },
    };
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    if kind.is_dir() {
        return Err(LoadFault::NotALibrary {
            what: "a directory".into(),
        });
    }
    if !kind.is_file() {
        // Opening a FIFO would wait for its writer.
        return Err(LoadFault::NotALibrary {
            what: "a device, pipe or socket".into(),
        });
    }
    if kind.len() > MAX_PLUGIN_BYTES {
        return Err(LoadFault::TooLarge { bytes: kind.len() });
    }
    let mut head = Vec::with_capacity(HEAD_BYTES);
    File::open(path)
        .and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head))
        .map_err(unreadable)?;
    check_head(&head)
}

/// The same for the first [`HEAD_BYTES`] bytes of a file.
fn check_head(head: &[u8]) -> Result<(), LoadFault> {
    if !head.starts_with(&MAGIC) {
        return Err(LoadFault::NotALibrary {
            what: looks_like(head).into(),
        });
    }
    let Ok(head) = <&[u8; HEAD_BYTES]>::try_from(head) else {
        return Err(LoadFault::NotALibrary {
            what: "the stump of a library, cut short".into(),
        });
    };
    let (class, data) = (head[EI_CLASS], head[EI_DATA]);
    let word = |at: usize| match data {
        ELFDATA2MSB => u16::from_be_bytes([head[at], head[at + 1]]),
        _ => u16::from_le_bytes([head[at], head[at + 1]]),
    };
    let (kind, machine) = (word(E_TYPE), word(E_MACHINE));
    if (class, data, machine) != HERE {
        return Err(LoadFault::OtherMachine {
            found: machine_name(class, data, machine),
            here: machine_name(HERE.0, HERE.1, HERE.2),
        });
    }
    match kind {
        ET_DYN => Ok(()),
        ET_REL => Err(LoadFault::NotALibrary {
            what: "an object file (.o)".into(),
        }),
        ET_EXEC => Err(LoadFault::NotALibrary {
            what: "a program".into(),
        }),
        ET_CORE => Err(LoadFault::NotALibrary {
            what: "a core dump".into(),
        }),
        _ => Err(LoadFault::NotALibrary {
            what: "an ELF file of an unknown type".into(),
        }),
    }
}

/// Class (number of bits), data (order of bytes) and machine of this build.
const HERE: (u8, u8, u16) = (
    if cfg!(target_pointer_width = "64") {
        ELFCLASS64
    } else {
        ELFCLASS32
    },
    if cfg!(target_endian = "little") {
        ELFDATA2LSB
    } else {
        ELFDATA2MSB
    },
    if cfg!(target_arch = "x86_64") {
        EM_X86_64
    } else if cfg!(target_arch = "aarch64") {
        EM_AARCH64
    } else if cfg!(target_arch = "arm") {
        EM_ARM
    } else if cfg!(target_arch = "x86") {
        EM_386
    } else if cfg!(any(target_arch = "riscv32", target_arch = "riscv64")) {
        EM_RISCV
    } else if cfg!(target_arch = "powerpc64") {
        EM_PPC64
    } else if cfg!(target_arch = "s390x") {
        EM_S390
    } else {
        EM_NONE
    },
);

fn machine_name(class: u8, data: u8, machine: u16) -> String {
    let known = MACHINES.iter().find(|(number, _)| *number == machine);
    let name = known.map_or_else(
        || format!("machine number {machine}"),
        |(_, name)| (*name).to_owned(),
    );
    let bits = if class == ELFCLASS32 && machine == EM_X86_64 {
        ", 32-bit pointers"
    } else {
        ""
    };
    let order = if data == ELFDATA2MSB && HERE.1 == ELFDATA2LSB {
        ", big-endian"
    } else {
        ""
    };
    format!("{name}{bits}{order}")
}

fn looks_like(head: &[u8]) -> &'static str {
    if head.is_empty() {
        return "an empty file";
    }
    let known = LOOKALIKES.iter().find(|(start, _)| head.starts_with(start));
    known.map_or_else(
        || match std::str::from_utf8(head) {
            Ok(text) if !text.contains('\0') => "a text file",
            _ => "a file of an unknown type",
        },
        |(_, name)| name,
    )
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    fn verdict(head: &[u8]) -> String {
        check_head(head).map_or_else(|fault| fault.to_string(), |()| "ok".into())
    }

    /// The verdict on a file that has this size and takes no room.
    fn sparse(bytes: u64) -> String {
        let file = File::from(memfd_create("sparse", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(bytes).unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        check(Path::new(&path)).map_or_else(|fault| fault.to_string(), |()| "ok".into())
    }

    #[test]
    fn a_huge_file_is_refused_by_its_size() {
        let looked_into = sparse(MAX_PLUGIN_BYTES);
        assert!(looked_into.contains("a file of an unknown type"), "{looked_into}");
        let refused = sparse(MAX_PLUGIN_BYTES + 1);
        assert!(refused.starts_with("it has 268435457 bytes"), "{refused}");
    }

    fn elf(class: u8, data: u8, kind: u16, machine: u16) -> Vec<u8> {
        let mut head = vec![0; HEAD_BYTES];
        head[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data, 1]);
        let bytes = |word: u16| {
            if data == ELFDATA2MSB {
                word.to_be_bytes()
            } else {
                word.to_le_bytes()
            }
        };
        head[16..18].copy_from_slice(&bytes(kind));
        head[18..20].copy_from_slice(&bytes(machine));
        head
    }

    #[test]
    fn a_library_of_this_machine_passes() {
        assert_eq!(verdict(&elf(HERE.0, HERE.1, ET_DYN, HERE.2)), "ok");
    }

    #[test]
    fn everything_else_is_called_by_its_name() {
        let other = |data, machine| elf(ELFCLASS64, data, ET_DYN, machine);
        let foreign = if HERE.2 == EM_AARCH64 {
            EM_X86_64
        } else {
            EM_AARCH64
        };
        for (head, expected) in [
            (b"".to_vec(), "an empty file"),
            (b"#!/bin/sh\nexit 0\n".to_vec(), "a script"),
            (b"\x89PNG\r\n\x1a\n".to_vec(), "a PNG picture"),
            (b"hello, world".to_vec(), "a text file"),
            (b"\x00\x01\x02".to_vec(), "a file of an unknown type"),
            (b"\x7fELF\x02\x01".to_vec(), "cut short"),
            (elf(HERE.0, HERE.1, ET_EXEC, HERE.2), "a program"),
            (elf(HERE.0, HERE.1, ET_REL, HERE.2), "an object file"),
            (other(ELFDATA2LSB, foreign), "is built for"),
            (other(ELFDATA2MSB, EM_S390), "IBM S/390, big-endian"),
            (other(ELFDATA2LSB, 999), "machine number 999"),
        ] {
            let verdict = verdict(&head);
            assert!(verdict.contains(expected), "{verdict} should say {expected}");
        }
    }
}
