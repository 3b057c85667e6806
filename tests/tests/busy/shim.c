/*
 * A disk that stands still: preloaded into a process, it lets nothing become durable while the file DISK_GATE exists.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Between two looks, in microseconds. */
#define PAUSE 1000

static void wait_for_the_disk(void) {
    const char *gate = getenv("DISK_GATE");
    while (gate != NULL && access(gate, F_OK) == 0) usleep(PAUSE);
}

int fsync(int fd) {
    wait_for_the_disk();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    wait_for_the_disk();
    return (int)syscall(SYS_fdatasync, fd);
}
