mod bench;
mod faults;
mod pipelined;
mod sending;
mod simulation;
