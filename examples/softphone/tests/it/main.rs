//! The tests of softphone as a process, one behaviour a module.

mod command_line;
