/*
 * trespass: tries to read a file, to write one, to connect to a port of this machine, to start a process.
 *
 * The hub must: refuse each that is not granted. It says how each went, and takes the alert when all went well.
 *
 * The configuration names what to try: {"read": "/a", "write": "/b", "port": "587"}.
 */
#include "hostile.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int try_open(const char *key, int flags) {
    char path[4096];
    if (!hostile_text(key, path, sizeof path)) return EINVAL;
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    close(fd);
    return 0;
}

static int try_connect(void) {
    char port[8];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!hostile_text("port", port, sizeof port)) return EINVAL;
    address.sin_port = htons((uint16_t)atoi(port));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int error = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static int try_fork(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid < 0) return errno;
    return waitpid(pid, NULL, 0) == pid ? 0 : errno;
}

static const char *name_of(int error) {
    return error == EPERM ? "EPERM" : error == EACCES ? "EACCES" : strerror(error);
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call;
    const int errors[] = {try_open("read", O_RDONLY), try_open("write", O_WRONLY | O_CREAT), try_connect(), try_fork()};
    const char *const names[] = {"read", "write", "connect", "fork"};
    char said[512] = "";
    size_t length = 0;
    int refused = 0;
    for (int i = 0; i < 4; i++) {
        const char *word = errors[i] == 0 ? "done" : name_of(errors[i]);
        int more = snprintf(said + length, sizeof said - length, "%s%s: %s", i == 0 ? "" : ", ", names[i], word);
        length += more > 0 ? (size_t)more : 0;
        refused |= errors[i] != 0;
    }
    return refused ? wp_fail(reply, WP_RETRY, said) : WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("trespass", "Reads, writes, connects and starts what it should not."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
