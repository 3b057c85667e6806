//! Text from a plugin on its way to a terminal, a log or a page: one line, no control characters, bounded.

use std::sync::Arc;

use watchpost_sinkhost_protocol::limits::{
    MAX_AREA_BYTES, MAX_KEPT_NOTE_BYTES, MAX_KEPT_NOTES_BYTES, MAX_NOTE_BYTES,
};
use watchpost_sinkhost_protocol::{ArmRequest, LoadFault, Note, PluginInfo};

/// Stands for what was cut off.
const CUT: char = '…';

/// One line of at most `max_bytes`: what would move the cursor, start a line or turn the direction of reading is a space.
pub(crate) fn one_line(text: &str, max_bytes: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max_bytes));
    for character in text.trim_end().chars() {
        let shown = if is_plain(character) { character } else { ' ' };
        if line.len() + shown.len_utf8() > max_bytes {
            let room = max_bytes.saturating_sub(CUT.len_utf8());
            let end = (0..=room.min(line.len()))
                .rev()
                .find(|end| line.is_char_boundary(*end));
            line.truncate(end.unwrap_or(0));
            line.push(CUT);
            break;
        }
        line.push(shown);
    }
    line.truncate(line.trim_end().len());
    line
}

/// Control characters (C0, DEL, C1), line and paragraph separators, the marks and overrides of the direction of reading, and what
/// is not seen.
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The notes of a call as they are kept: each one line, all of them bounded.
pub(crate) fn plain_notes(notes: Vec<Note>) -> Arc<[Note]> {
    let mut room = MAX_KEPT_NOTES_BYTES;
    let mut kept = Vec::new();
    for note in notes {
        let text = one_line(&note.text, MAX_KEPT_NOTE_BYTES.min(room));
        let pointer = one_line(&note.pointer, MAX_KEPT_NOTE_BYTES.min(room));
        room = room.saturating_sub(text.len() + pointer.len());
        kept.push(Note { pointer, text });
        if room == 0 {
            break;
        }
    }
    kept.into()
}

/// What is wrong with a plugin's file, as it is shown. Its constructors may say so themselves.
pub(crate) fn plain_fault(fault: LoadFault) -> LoadFault {
    fault.map_texts(|text| one_line(&text, MAX_NOTE_BYTES))
}

/// What a person wants at a plugin, as it is shown. A code is not.
pub(crate) fn plain_request(request: ArmRequest) -> ArmRequest {
    ArmRequest {
        area: one_line(&request.area, MAX_AREA_BYTES),
        ..request
    }
}

/// What a plugin says of itself, as it is shown.
pub(crate) fn plain_info(mut info: PluginInfo, max_bytes: usize) -> PluginInfo {
    for text in [
        &mut info.id,
        &mut info.name,
        &mut info.version,
        &mut info.summary,
        &mut info.sdk,
    ] {
        *text = one_line(text, max_bytes);
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_a_space() {
        for (text, shown) in [
            ("plain, ä, 日本", "plain, ä, 日本"),
            ("a\nb\r\nc\td", "a b  c d"),
            ("\u{1b}[31mred\u{7}", " [31mred"),
            ("\u{9b}2J\u{85}x\u{7f}y", " 2J x y"),
            ("\u{202e}gpj\u{2066}\u{2028}z", " gpj  z"),
            ("end\n\n", "end"),
        ] {
            assert_eq!(one_line(text, 100), shown.trim_end(), "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(one_line("ää".repeat(10).as_str(), 10), "äää…");
        assert_eq!(one_line("1234567890", 10), "1234567890");
        assert_eq!(one_line("12345678901", 10), "1234567…");
        assert_eq!(one_line("anything", 0), "…");
    }

    #[test]
    fn notes_are_bounded_together() {
        let notes = vec![Note::new("x".repeat(8 << 10)); 64];
        let kept: usize = plain_notes(notes).iter().map(|note| note.text.len()).sum();
        assert_eq!(kept, MAX_KEPT_NOTES_BYTES);
    }
}
