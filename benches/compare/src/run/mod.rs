pub fn main(_options: &[&str]) {}
