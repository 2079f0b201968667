//! Has cargo look at the built dashboard, so that a new one becomes part of the program.

fn main() {
    println!("cargo:rerun-if-changed=../../dashboard/dist");
}
