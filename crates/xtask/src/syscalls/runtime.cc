// What a plugin in C++ may have its library call: threads, locks, clocks, files, chance, exceptions, much memory.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <locale>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

int main(int, char **arguments)
{
    const fs::path dir = arguments[1];
    std::mutex lock;
    std::condition_variable turn;
    std::atomic<int> done{0};
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; number++)
        threads.emplace_back([&, number] {
            std::vector<char> much(number * 40'000'000 + 1, 'x');
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            std::unique_lock hold(lock);
            done += much.back() == 'x';
            turn.notify_all();
        });
    {
        std::unique_lock hold(lock);
        turn.wait_for(hold, std::chrono::seconds(20), [&] { return done == 4; });
    }
    for (auto &thread : threads)
        thread.join();
    auto answer = std::async(std::launch::async, [] { return std::random_device{}(); });
    std::shared_mutex shared;
    std::shared_lock reading(shared);
    try {
        throw std::runtime_error("caught");
    } catch (const std::exception &error) {
        std::cerr << error.what() << answer.get() << std::endl;
    }
    fs::create_directories(dir / "a/b");
    std::ofstream(dir / "a/b/file") << std::locale("").name() << std::chrono::system_clock::now().time_since_epoch().count();
    fs::copy_file(dir / "a/b/file", dir / "a/copy");
    fs::rename(dir / "a/copy", dir / "a/moved");
    fs::resize_file(dir / "a/moved", 3);
    fs::create_symlink("moved", dir / "a/link");
    fs::create_hard_link(dir / "a/moved", dir / "a/second");
    for (const auto &entry : fs::recursive_directory_iterator(dir))
        std::cout << entry.path() << entry.is_regular_file() << fs::space(dir).free << fs::read_symlink(dir / "a/link");
    std::stringstream text;
    text << std::ifstream(dir / "a/moved").rdbuf() << fs::current_path() << fs::temp_directory_path();
    std::cout << text.str() << fs::remove_all(dir / "a") << std::thread::hardware_concurrency() << std::endl;
    return 0;
}
