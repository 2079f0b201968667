//! The built program, from outside.

mod kill;
