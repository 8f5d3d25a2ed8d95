//! Records: what is read is what was written, and both ways of reading agree.

use super::mended;
use crate::record::{self, Damage, Frame, RecordKind};

/// Records of any bytes.
pub fn record(bytes: &[u8]) {
    check(bytes);
    check(&mended(bytes));
    // Whatever the payload is, and whatever follows, it comes back.
    let mut written = Vec::new();
    push(&mut written, (RecordKind::Output, 1, 7, u64::MAX), bytes);
    let length = written.len();
    record::push_end(&mut written, 1);
    written.extend_from_slice(bytes);
    let found = record::whole(&written, &[RecordKind::Output]);
    assert!(matches!(&found, Ok(frames) if frames.len() == 1 && frames[0].payload == bytes));
    // A cut is noticed.
    for cut in [0, 1, length / 2, length - 1, length] {
        assert!(record::whole(&written[..cut], &[RecordKind::Output]).is_err());
    }
}

fn check(bytes: &[u8]) {
    let mut reader = record::frames(bytes);
    let (mut frames, mut damage, mut at) = (Vec::new(), None, 0);
    while let Some(next) = reader.next() {
        assert_eq!(damage, None, "nothing follows a damage");
        match next {
            Ok(frame) => {
                assert_eq!(frame.raw, &bytes[at..at + frame.raw.len()]);
                at += frame.raw.len();
                assert_eq!(reader.offset(), at);
                let mut again = Vec::new();
                push(
                    &mut again,
                    (frame.kind, frame.codec, frame.index, frame.aux),
                    frame.payload,
                );
                assert_eq!(again, frame.raw, "it is written as it was read");
                frames.push(frame);
            }
            Err(found) => {
                assert_eq!(found.offset, at);
                damage = Some(found);
            }
        }
    }
    assert!(
        damage.is_some() || at == bytes.len(),
        "all bytes belong to a record"
    );
    for kinds in [
        &[][..],
        &[RecordKind::Input],
        &[RecordKind::Output, RecordKind::Failure],
    ] {
        check_whole(bytes, kinds, &frames, damage);
    }
}

/// Checks that a file is whole if, and only if, an end mark counts the records before it.
fn check_whole(bytes: &[u8], kinds: &[RecordKind], frames: &[Frame<'_>], damage: Option<Damage>) {
    let end = frames.iter().position(|frame| frame.kind == RecordKind::End);
    let before = &frames[..end.unwrap_or(frames.len())];
    let tasks = before.iter().filter(|frame| kinds.contains(&frame.kind)).count() as u64;
    match (record::whole(bytes, kinds), end) {
        (Ok(found), end) => {
            assert_eq!(end.map(|end| frames[end].aux), Some(tasks));
            assert_eq!(found, before);
        }
        (Err(_), Some(end)) => assert_ne!(frames[end].aux, tasks),
        (Err(found), None) => assert_eq!(found.offset, damage.map_or(bytes.len(), |damage| damage.offset)),
    }
}

fn push(buffer: &mut Vec<u8>, head: (RecordKind, u8, u32, u64), payload: &[u8]) {
    let Ok(()) = record::push_with(buffer, head, |buffer| {
        buffer.extend_from_slice(payload);
        Ok::<(), std::convert::Infallible>(())
    });
}
