/* redteam_ways.h - ways to behave after the deeds: how a plugin keeps hub, neighbours and machine from their work. */
#ifndef REDTEAM_WAYS_H
#define REDTEAM_WAYS_H

#include "redteam.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The brakes: where nothing holds them, they end. */
#define LIFE_SECONDS 600
#define MOST_THREADS 400
#define MOST_FILES 600
#define MOST_PACKETS 20000
#define MOST_TASKS 300
#define MOST_MEGABYTES 256

static void send_to_host(const void *bytes, size_t length, int times) {
    int fds[8];
    int count = host_sockets(fds, 8);
    for (int i = 0; i < times; i++)
        for (int k = 0; k < count; k++)
            if (send(fds[k], bytes, length, MSG_NOSIGNAL) < 0 && errno != EAGAIN) return;
}

static void hang(void) {
    for (int i = 0; i < LIFE_SECONDS; i++) sleep(1);
}

/* Nothing that can be caught ends it, nor does it listen when it is asked to leave. */
static void hang_deaf(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
    hang();
}

static void stop_itself(void) { kill(getpid(), SIGSTOP); }

static void close_all(void) {
    syscall(SYS_close_range, 3, ~0U, 0);
    hang();
}

/* Bytes that are no message, one that claims to be one, and empty packets. */
static void talk_nonsense(void) {
    char packet[4096];
    for (size_t i = 0; i < sizeof packet; i++) packet[i] = (char)(i * 37);
    packet[0] = 0;
    send_to_host(packet, sizeof packet, MOST_PACKETS);
    hang();
}

static void talk_at_length(void) {
    char *packet = calloc(1, 1 << 20);
    if (packet != NULL) send_to_host(packet, 1 << 20, 10), send_to_host(packet, 100000, MOST_PACKETS), free(packet);
    hang();
}

/* Sends a packet with as many open files as go into one. */
static int send_files(int socket, int file) {
    int files[250];
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof files)];
    } control;
    struct iovec part = {"\0", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    for (size_t i = 0; i < 250; i++) files[i] = file;
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof files);
    memcpy(CMSG_DATA(&control.head), files, sizeof files);
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

/* What a way does once for each process, and then has done its work: it is found while it is idle. */
static int first_time(void) {
    static int times;
    return times++ == 0;
}

/* What is on its way counts for the user, who is the hub's: as much as its kernel lets it have. */
static void keep_files_on_their_way(void) {
    int pair[2];
    if (first_time() && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0)
        for (int i = 0; i < 20; i++) send_files(pair[0], 0);
}

static void send_files_to_host(void) {
    int fds[8];
    int count = host_sockets(fds, 8);
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < count; k++) send_files(fds[k], 0);
    hang();
}

static void *sleep_as_thread(void *unused) {
    (void)unused;
    hang();
    return NULL;
}

static void make_threads(void) {
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int i = 0; i < MOST_THREADS; i++)
        if (pthread_create(&thread, &small, sleep_as_thread, NULL) != 0) break;
    hang();
}

static void *spin_as_thread(void *unused) {
    (void)unused;
    time_t end = time(NULL) + LIFE_SECONDS;
    while (time(NULL) < end) sched_yield();
    return NULL;
}

static void spin(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, spin_as_thread, NULL);
    spin_as_thread(NULL);
}

static void open_files(void) {
    for (int i = 0; i < MOST_FILES; i++)
        if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) break;
    hang();
}

static void take_memory(void) {
    for (int i = 0; i < 64; i++) {
        char *block = malloc(16 << 20);
        if (block == NULL) break;
        memset(block, 1, 16 << 20);
    }
    hang();
}

/* Fills the disk through its own folder, half of it by a file that has no name any more. */
static void fill_disk(void) {
    static char block[1 << 20];
    memset(block, 1, sizeof block);
    for (int k = 0; k < 2; k++) {
        int fd = open(in_state(k == 0 ? "named" : "nameless"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (k == 1) unlink(in_state("nameless"));
        for (int i = 0; fd >= 0 && i < 32; i++)
            if (write(fd, block, sizeof block) < 0) break;
    }
    hang();
}

/* Writes into a file, which is to have no name any more when it is full. */
static int fill_nameless(const char *name, int megabytes) {
    static char block[1 << 20];
    memset(block, 1, sizeof block);
    int fd = open(in_state(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    unlink(in_state(name));
    for (int i = 0; fd >= 0 && i < megabytes; i++)
        if (write(fd, block, sizeof block) < 0) break;
    return fd;
}

/* Fills the disk with a file that no process has: it is on its way from this one to itself. The kernel lets one user have
 * some on their way, and others of this user may have them all. */
static void *hide_as_thread(void *unused) {
    int pair[2];
    (void)unused;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return NULL;
    int fd = fill_nameless("on-the-way", 4);
    for (int i = 0; i < LIFE_SECONDS * 10 && send_files(pair[0], fd) != 0; i++) usleep(100000);
    close(fd);
    return NULL;
}
static void hide_on_the_way(void) {
    pthread_t thread;
    if (first_time()) pthread_create(&thread, NULL, hide_as_thread, NULL);
}

/* With a file of which its memory has one page. */
static void hide_in_memory(void) {
    if (!first_time()) return;
    int fd = fill_nameless("in-memory", 15);
    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    fd = fill_nameless("in-memory-too", 15);
    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
}

/* With a file that another process has. */
static void hide_in_program(void) {
    if (first_time() && fork() == 0) fill_nameless("in-program", 32), hang(), _exit(0);
}

/* With what lies in a folder that no one may look into. */
static void hide_in_closed_folder(void) {
    if (!first_time()) return;
    mkdir(in_state("closed"), 0700);
    int fd = open(in_state("closed/file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static char block[1 << 20];
    for (int i = 0; fd >= 0 && i < 32; i++)
        if (write(fd, block, sizeof block) < 0) break;
    close(fd);
    chmod(in_state("closed"), 0);
}

/* Leaves in its own folder what a careless reader falls into. */
static void leave_traps(void) {
    char name[2304];
    symlink(config_file, in_state("to-config"));
    symlink("/", in_state("to-root"));
    symlink("loop", in_state("loop"));
    mkfifo(in_state("fifo"), 0600);
    close(open(in_state("red\n\033[2Jteam"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    int sparse = open(in_state("sparse"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (sparse >= 0 && ftruncate(sparse, 1L << 40) != 0) close(sparse);
    snprintf(name, sizeof name, "%s", state_dir);
    for (int i = 0; i < 200 && strlen(name) + 3 < sizeof name; i++) {
        strcat(name, "/d");
        if (mkdir(name, 0700) != 0) break;
    }
}

/* Text that would be another line, or another colour, of whoever shows it. */
static const char ugly[] = "red\nFORGED ERROR watchpost: the disk is full\r\033[2J\033]0;x\007\xc2\x9b" "team";

static void log_forgeries(void) {
    for (int i = 0; i < 20; i++) hostile_host->log(hostile_host, WP_LOG_WARN, wp_text(ugly));
    dprintf(1, "%s\n", ugly);
    dprintf(2, "%s\n", ugly);
}

/* Reports alerts as acknowledged that were never its own. */
static void acknowledge_all(void) {
    const wp_acknowledge *extension = hostile_host->extension(hostile_host, WP_ACKNOWLEDGE);
    for (uint64_t id = 0; extension != NULL && id < 100000; id++) extension->acknowledge(hostile_host, id);
}

/* Processes that have left their parent, group and session, and listen to nothing; each starts others. */
static void leave_orphans(void) {
    for (int i = 0; i < 4; i++) {
        if (fork() != 0) continue;
        setsid();
        for (int generation = 0; generation < 3; generation++) {
            pid_t next = fork();
            if (next < 0) break;
            if (next > 0 && generation < 2) _exit(0);
        }
        syscall(SYS_close_range, 0, ~0U, 0);
        hang_deaf();
        _exit(0);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
}

/* What goes on beside calls that are answered, as long as the process lives. */
static void in_background(void *(*work)(void *)) {
    pthread_t thread;
    if (first_time()) pthread_create(&thread, NULL, work, NULL);
}

/* Puts a socket of its own in place of those to its host. */
static void swap_sockets(void) {
    int fds[8], pair[2];
    int count = host_sockets(fds, 8);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0)
        for (int k = 0; k < count; k++) dup2(pair[0], fds[k]);
}

static int fall(volatile char *above) {
    volatile char here[4096];
    if (above == NULL) return 0;
    here[0] = above[0];
    return fall(here) + here[0];
}
static void exhaust_stack(void) {
    char first = 0;
    fall(&first);
}

/* Signals to itself that no one takes, as many as wait, and those that have a handler, again and again. */
static void ignore(int number) { (void)number; }
static void *signal_as_thread(void *unused) {
    sigset_t queued;
    sigemptyset(&queued), sigaddset(&queued, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &queued, NULL);
    signal(SIGUSR1, ignore), signal(SIGRTMIN, SIG_DFL);
    for (int i = 0; i < LIFE_SECONDS * 1000; i++) {
        for (int k = 0; k < 200; k++) syscall(SYS_tgkill, getpid(), gettid(), k % 2 ? SIGUSR1 : SIGRTMIN);
        usleep(1000);
    }
    return unused;
}
static void storm_signals(void) { in_background(signal_as_thread); }

/* As many timers as the user may have, all of which go off all the time. */
static void *time_as_thread(void *unused) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    struct itimerspec often = {{0, 1000000}, {0, 1000000}};
    timer_t timer;
    signal(SIGRTMIN + 1, SIG_IGN);
    for (int i = 0; i < 200000 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0; i++)
        timer_settime(timer, 0, &often, NULL);
    hang();
    return unused;
}
static void make_timers(void) { in_background(time_as_thread); }

/* Bytes that go round through the kernel. */
static void *splice_as_thread(void *unused) {
    int first[2], second[2];
    char block[4096] = "";
    if (pipe(first) != 0 || pipe(second) != 0 || write(first[1], block, sizeof block) < 0) return unused;
    for (time_t end = time(NULL) + LIFE_SECONDS; time(NULL) < end;) {
        tee(first[0], second[1], sizeof block, SPLICE_F_NONBLOCK);
        splice(second[0], NULL, first[1], NULL, sizeof block, SPLICE_F_NONBLOCK);
        splice(first[0], NULL, second[1], NULL, sizeof block, SPLICE_F_NONBLOCK);
    }
    return unused;
}
static void splice_rounds(void) { in_background(splice_as_thread); }

/* Reads its file from the disk again and again, and writes it there. */
static void *thrash_as_thread(void *unused) {
    int fd = fill_nameless("thrash", 8);
    char *pages = fd < 0 ? MAP_FAILED : mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (pages == MAP_FAILED) return unused;
    for (time_t end = time(NULL) + LIFE_SECONDS; time(NULL) < end; usleep(20000)) {
        for (size_t at = 0; at < 8 << 20; at += 4096) pages[at]++;
        msync(pages, 8 << 20, MS_SYNC);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        madvise(pages, 8 << 20, MADV_DONTNEED);
    }
    return unused;
}
static void thrash_cache(void) { in_background(thrash_as_thread); }

/* Locks on every other byte of a file, which the kernel keeps a list of. */
static void *lock_as_thread(void *unused) {
    int fd = open(in_state("locked"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; fd >= 0 && i < 200000; i++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i * 2L, .l_len = 1};
        if (fcntl(fd, F_SETLK, &lock) != 0) break;
    }
    hang();
    return unused;
}
static void take_locks(void) { in_background(lock_as_thread); }

/* As many sockets as there may be, each as full as it gets, and as many pipes watched as often as they may be. */
static void *fill_as_thread(void *unused) {
    static char block[1 << 16];
    int pair[2], watcher = 0, previous = -1;
    for (int i = 0; i < MOST_FILES && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0; i++) {
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){1 << 30}, sizeof(int));
        while (send(pair[0], block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {}
        watcher = i % 2 ? epoll_create1(EPOLL_CLOEXEC) : watcher;
        for (int fd = 3; fd < MOST_FILES; fd++) epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN});
        if (previous > 0) epoll_ctl(previous, EPOLL_CTL_ADD, watcher, &(struct epoll_event){.events = EPOLLIN});
        previous = watcher;
    }
    hang();
    return unused;
}
static void fill_sockets(void) { in_background(fill_as_thread); }

/* Programs that end as soon as they have begun, one after the other. */
static void *start_as_thread(void *unused) {
    for (time_t end = time(NULL) + LIFE_SECONDS; time(NULL) < end;) {
        pid_t child = vfork();
        if (child == 0) _exit(0);
        if (child > 0) waitpid(child, NULL, 0);
    }
    return unused;
}
static void start_and_end(void) { in_background(start_as_thread); }

/* Processes without number. */
static void fork_bomb(void) {
    for (int i = 0; i < MOST_TASKS; i++) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) hang(), _exit(0);
    }
    hang();
}

/* Memory that no limit of a process counts. */
static void share_memory(void) {
    for (int i = 0; i < MOST_MEGABYTES; i++) {
        void *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) break;
        memset(block, 1, 1 << 20);
    }
    hang();
}

#ifdef __x86_64__
/* A call by the numbers of another architecture: chmod(data_dir, 0777) in 32 bits. */
static void call_in_32_bits(void) {
    char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    long answer = 15;
    if (low == MAP_FAILED) return;
    snprintf(low, 4096, "%s", data_dir);
    __asm__ volatile("int $0x80" : "+a"(answer) : "b"((long)low), "c"(0777L) : "memory");
}
#else
static void call_in_32_bits(void) { abort(); }
#endif

struct way {
    const char *name;
    void (*go)(void);
};

#define W(name) {#name, name}
static const struct way ways[] = {
    W(hang), W(hang_deaf), W(stop_itself), W(close_all), W(talk_nonsense), W(talk_at_length),
    W(keep_files_on_their_way), W(send_files_to_host), W(make_threads), W(spin), W(open_files), W(take_memory),
    W(fill_disk), W(hide_on_the_way), W(hide_in_memory), W(hide_in_program), W(hide_in_closed_folder),
    W(leave_traps), W(log_forgeries), W(acknowledge_all), W(leave_orphans), W(call_in_32_bits),
    W(fork_bomb), W(share_memory), W(swap_sockets), W(exhaust_stack), W(storm_signals), W(make_timers),
    W(splice_rounds), W(thrash_cache), W(take_locks), W(fill_sockets), W(start_and_end),
};

#endif
