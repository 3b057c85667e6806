//! The header compiles cleanly as C and as C++, its own example compiles, and every offset in it is the
//! mirror's.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchpost_sink_abi as abi;

#[test]
fn compiles_as_c11_and_cpp17_without_a_warning() {
    let dir = scratch("compiles");
    for (compiler, standard, file) in [("cc", "-std=c11", "use.c"), ("c++", "-std=c++17", "use.cc")] {
        let source = dir.join(file);
        std::fs::write(
            &source,
            "#include \"watchpost_sink.h\"\nint main(void) { return 0; }\n",
        )
        .unwrap();
        compile(compiler, &[standard, "-pedantic"], &source, &dir.join("use"));
    }
}

#[test]
fn the_example_in_the_header_compiles() {
    let header = std::fs::read_to_string(include_dir().join("watchpost_sink.h")).unwrap();
    let comment = header
        .split("A whole plugin in C:")
        .nth(1)
        .unwrap()
        .split("cc -std=c11")
        .next()
        .unwrap();
    let example: String = comment
        .lines()
        .map(|line| line.trim_start_matches(" *").to_owned() + "\n")
        .collect();
    assert!(
        example.contains("WP_EXPORT const wp_plugin watchpost_sink_v1"),
        "{example}"
    );

    let dir = scratch("example");
    let source = dir.join("siren.c");
    std::fs::write(
        &source,
        format!("static int sound_the_siren(void) {{ return 0; }}\n{example}"),
    )
    .unwrap();
    let flags = [
        "-std=c11",
        "-pedantic",
        "-shared",
        "-fPIC",
        "-Wno-missing-field-initializers",
    ];
    compile("cc", &flags, &source, &dir.join("libwatchpost_siren.so"));
}

#[test]
fn every_offset_and_constant_is_the_mirrors() {
    let ours = rust_table();
    let dir = scratch("offsets");
    let source = dir.join("offsets.c");
    let mut program = String::from("#include <stdio.h>\n#include \"watchpost_sink.h\"\nint main(void) {\n");
    for (expression, _) in &ours {
        program += &format!("    printf(\"%llu\\n\", (unsigned long long)({expression}));\n");
    }
    std::fs::write(&source, program + "    return 0;\n}\n").unwrap();
    let binary = dir.join("offsets");
    compile("cc", &["-std=c11"], &source, &binary);

    let output = Command::new(&binary).output().unwrap();
    let theirs: Vec<u64> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(theirs.len(), ours.len());
    for ((expression, ours), theirs) in ours.iter().zip(theirs) {
        assert_eq!(*ours, theirs, "{expression}");
    }
}

/// Each C expression with the value Rust has for it.
fn rust_table() -> Vec<(String, u64)> {
    let mut table = vec![
        ("WP_MAGIC".to_owned(), u64::from(abi::MAGIC)),
        ("WP_ABI_MAJOR".to_owned(), u64::from(abi::ABI_MAJOR)),
        ("WP_ABI_MINOR".to_owned(), u64::from(abi::ABI_MINOR)),
    ];
    for (name, value) in [
        ("WP_OK", abi::Outcome::Ok as u64),
        ("WP_RETRY", abi::Outcome::Retry as u64),
        ("WP_PERMANENT", abi::Outcome::Permanent as u64),
        ("WP_BAD_CONFIG", abi::Outcome::BadConfig as u64),
        ("WP_FATAL", abi::Outcome::Fatal as u64),
        ("WP_UNSUPPORTED", abi::Outcome::Unsupported as u64),
        ("WP_LOW", abi::Severity::Low as u64),
        ("WP_MEDIUM", abi::Severity::Medium as u64),
        ("WP_HIGH", abi::Severity::High as u64),
        ("WP_CRITICAL", abi::Severity::Critical as u64),
        ("WP_ARM_HOME", abi::ArmAct::ArmHome as u64),
        ("WP_ARM_AWAY", abi::ArmAct::ArmAway as u64),
        ("WP_ARM_NIGHT", abi::ArmAct::ArmNight as u64),
        ("WP_DISARM", abi::ArmAct::Disarm as u64),
        ("WP_PANIC", abi::ArmAct::Panic as u64),
        ("WP_PANIC_SILENT", u64::from(abi::PANIC_SILENT)),
        ("WP_ARM_FORCE", u64::from(abi::ARM_FORCE)),
        ("WP_ARM_DONE", abi::ArmOutcome::Done as u64),
        ("WP_ARM_NOTED", abi::ArmOutcome::Noted as u64),
        ("WP_ARM_NOT_READY", abi::ArmOutcome::NotReady as u64),
        ("WP_ARM_NEEDS_CODE", abi::ArmOutcome::NeedsCode as u64),
        ("WP_ARM_WRONG_CODE", abi::ArmOutcome::WrongCode as u64),
        ("WP_ARM_LOCKED", abi::ArmOutcome::Locked as u64),
        ("WP_ARM_REFUSED", abi::ArmOutcome::Refused as u64),
        ("WP_LOG_ERROR", abi::level::ERROR as u64),
        ("WP_LOG_WARN", abi::level::WARN as u64),
        ("WP_LOG_INFO", abi::level::INFO as u64),
        ("WP_LOG_DEBUG", abi::level::DEBUG as u64),
    ] {
        table.push((name.to_owned(), value));
    }
    macro_rules! rows {
        ($c:literal, $rust:ty, $($field:ident),* $(,)?) => {
            table.push((format!("sizeof({})", $c), size_of::<$rust>() as u64));
            $(table.push((
                format!("offsetof({}, {})", $c, stringify!($field).replace("private", "priv")),
                offset_of!($rust, $field) as u64,
            ));)*
        };
    }
    rows!("wp_str", abi::Str, ptr, len);
    rows!(
        "wp_reply",
        abi::Reply,
        struct_size,
        flags,
        retry_after_ms,
        private,
        note
    );
    rows!("wp_call", abi::Call, struct_size, attempt, call_id, deadline_ns);
    rows!("wp_frame", abi::Frame, mime, name, data, len, width, height);
    rows!(
        "wp_alert",
        abi::Alert,
        struct_size,
        severity,
        unix_ms,
        id,
        title,
        text,
        json,
        frames,
        frame_count,
        frame_stride,
        utc_offset_s
    );
    rows!(
        "wp_host",
        abi::Host,
        struct_size,
        abi_major,
        abi_minor,
        private,
        hub_version,
        instance,
        state_dir,
        log,
        cancelled,
        extension
    );
    rows!(
        "wp_arm_request",
        abi::ArmRequest,
        struct_size,
        act,
        flags,
        reserved,
        area,
        code
    );
    rows!(
        "wp_arm_listener",
        abi::ArmListener,
        struct_size,
        reserved,
        private,
        areas,
        answer
    );
    rows!("wp_arm", abi::Arm, struct_size, reserved, ask, listen);
    rows!(
        "wp_plugin",
        abi::Plugin,
        magic,
        struct_size,
        abi_major,
        abi_minor,
        min_host_minor,
        reserved,
        caps,
        id,
        name,
        version,
        summary,
        sdk,
        describe,
        validate,
        create,
        deliver,
        flush,
        probe,
        cancel,
        destroy,
        extension
    );
    table
}

fn compile(compiler: &str, flags: &[&str], source: &Path, output: &Path) {
    let result = Command::new(compiler)
        .args(["-Wall", "-Wextra", "-Werror", "-I"])
        .arg(include_dir())
        .args(flags)
        .arg(source)
        .arg("-o")
        .arg(output)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}: install a C and a C++ compiler"));
    assert!(
        result.status.success(),
        "{compiler}: {}",
        String::from_utf8_lossy(&result.stderr)
    );
}

fn include_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
