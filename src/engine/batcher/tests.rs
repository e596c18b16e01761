mod bench;
mod faults;
mod numbers;
mod pipelined;
mod sending;
mod simulation;
mod work;
