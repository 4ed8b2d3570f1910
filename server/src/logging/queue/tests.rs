use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A writer that blocks until the reader takes the bytes.
struct Pipe(SyncSender<Vec<u8>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.send(bytes.to_vec()) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn piped() -> (LogQueue, Receiver<Vec<u8>>) {
    let (sender, receiver) = sync_channel(0);
    (to(Pipe(sender)), receiver)
}

fn to(out: impl Write + Send + 'static) -> LogQueue {
    let lines = LogQueue::to(out).unwrap();
    lines.release();
    lines
}

fn log(lines: &LogQueue, line: &[u8]) {
    lines.make_writer().write_all(line).unwrap();
}

#[test]
fn lines_come_out_whole_and_in_order() {
    let (lines, reader) = piped();
    for number in 0..100 {
        log(&lines, format!("line {number}\n").as_bytes());
    }
    let mut read = Vec::new();
    while lines_in(&read) < 100 {
        read.extend(reader.recv_timeout(PATIENCE).unwrap());
    }
    let expected: String = (0..100).map(|number| format!("line {number}\n")).collect();
    assert_eq!(String::from_utf8(read).unwrap(), expected);
    lines.drain(PATIENCE);
}

#[test]
fn nobody_who_logs_waits_for_a_reader_and_what_waits_is_bounded() {
    let (lines, reader) = piped();
    let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
    for _ in 0..20_000 {
        log(&lines, &line);
    }
    let taken = 20_000 - lines.0.dropped.unreported();
    let mut read = 0;
    while read < taken {
        read += lines_in(&reader.recv_timeout(PATIENCE).unwrap());
    }
    let most = 2 * WAITING_BYTES_MAX / line.len();
    assert_eq!(read, taken);
    assert!(taken <= most as u64, "{taken} lines of 1 KiB");
}

#[test]
fn lines_are_held_back_until_they_are_released() {
    let (sender, reader) = sync_channel(1);
    let lines = LogQueue::to(Pipe(sender)).unwrap();
    log(&lines, b"one\n");
    lines.drain(PATIENCE);
    assert!(reader.try_recv().is_err());
    lines.release();
    assert_eq!(reader.recv_timeout(PATIENCE).unwrap(), b"one\n");
}

#[test]
fn a_line_longer_than_the_bound_is_taken_when_nothing_waits() {
    let (lines, reader) = piped();
    let mut long = vec![b'x'; WAITING_BYTES_MAX + 1];
    long.push(b'\n');
    log(&lines, &long);
    assert_eq!(reader.recv_timeout(PATIENCE).unwrap().len(), long.len());
}

#[test]
fn a_closed_pipe_costs_lines_only() {
    let (lines, reader) = piped();
    drop(reader);
    log(&lines, b"one\n");
    log(&lines, b"two\n");
    lines.drain(PATIENCE);
    assert!(lines.0.waiting.lock().bytes.is_empty());
    assert_eq!(lines.0.dropped.unreported(), 2);
}

#[test]
fn a_pipe_that_is_full_and_does_not_block_is_tried_again() {
    struct Full(Vec<ErrorKind>, SyncSender<usize>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.pop() {
                Some(kind) => Err(kind.into()),
                None => {
                    self.1.send(bytes.len()).unwrap();
                    Ok(1)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sender, receiver) = sync_channel(10);
    let full = Full(vec![ErrorKind::Interrupted, ErrorKind::WouldBlock], sender);
    let lines = to(full);
    log(&lines, b"ab\n");
    let next = || receiver.recv_timeout(PATIENCE).unwrap();
    assert_eq!([next(), next(), next()], [3, 2, 1]);
    lines.drain(PATIENCE);
    assert_eq!(lines.0.dropped.unreported(), 0);
}
