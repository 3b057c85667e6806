//! The program that runs one plugin. Watchpost starts it; there is nothing for a person to do with it.

fn main() -> ! {
    watchpost_sinkhost::main()
}
