//! Files in another encoding or with other line ends than expected.

use expect_test::expect;

use crate::site::{CONNECTION, Site};

#[test]
fn files_that_are_not_utf8() {
    let wide: Vec<u8> = format!("\u{feff}{CONNECTION}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut latin = CONNECTION.as_bytes().to_vec();
    latin.extend(b"[hub]\n# Caf\xe9\nlog = \"info\"\n");
    let carriage = CONNECTION.replace('\n', "\r");
    let cases: [(&str, &[u8]); 5] = [
        ("UTF-16 with a byte order mark", &wide),
        ("UTF-16 without", &wide[2..]),
        ("Latin-1", &latin),
        ("CR alone", carriage.as_bytes()),
        ("a program", b"\x7fELF\x02\x01\x01\0\0\0"),
    ];
    let mut shown = String::new();
    for (name, bytes) in cases {
        let site = Site::new("").raw("watchpost.toml", bytes);
        shown += &format!("{name}\n{}", site.brief_errors());
    }
    expect![[r#"
        UTF-16 with a byte order mark
        watchpost.toml:1:1: this file is in UTF-16, which Windows calls Unicode
          | [[connection]] | here
          save it as UTF-8, or convert it: `iconv -f UTF-16 -t UTF-8 FILE > NEW`
        UTF-16 without
        watchpost.toml:1:1: this file is in UTF-16, which Windows calls Unicode
          | [[connection]] | here
          save it as UTF-8, or convert it: `iconv -f UTF-16 -t UTF-8 FILE > NEW`
        Latin-1
        watchpost.toml:7:6: `é` here is not in UTF-8: the file seems to be in Latin-1 or Windows-1252
          | é | here
          save it as UTF-8, or convert it: `iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW`
        CR alone
        watchpost.toml:1:1: the lines of this file end with a carriage return (CR) alone
          | [[connection]] | here
          save it with Unix (LF) or Windows (CR LF) line ends, or convert it: `tr '\r' '\n' < FILE > NEW`
        a program
        watchpost.toml:1:1: this is not a text file: it contains NUL bytes
          |  | here
          name the configuration, a text file in TOML
    "#]]
    .assert_eq(&shown);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    for text in [format!("\u{feff}{CONNECTION}"), CONNECTION.replace('\n', "\r\n")] {
        assert_eq!(Site::new(&text).brief_errors(), "NO ERROR\n");
    }
    let site = Site::new(&format!("\u{feff}{CONNECTION}\r\nlgo = 1\r\n"));
    assert!(
        site.brief_errors()
            .contains("watchpost.toml:7:1: unknown key `lgo`"),
        "{}",
        site.brief_errors()
    );
}

#[test]
fn paths_that_are_no_files() {
    let site = Site::new(CONNECTION).file("conf.d", "");
    let folder = Site::new("");
    std::fs::remove_file(folder.path("watchpost.toml")).unwrap();
    std::fs::create_dir(folder.path("watchpost.toml")).unwrap();
    expect![[r#"
            cannot read conf.d: Not a directory (os error 20)
              it has to be a folder: the files `*.toml` in it are merged into the configuration
            cannot read watchpost.toml: is a directory
              name a file in it, such as watchpost.toml/watchpost.toml
    "#]]
    .assert_eq(&(site.brief_errors() + &folder.brief_errors()));
}
