//! Pictures and sounds: files and streams of known formats to frames and back.
