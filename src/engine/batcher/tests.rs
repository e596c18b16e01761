mod bench;
mod faults;
mod sending;
mod simulation;
