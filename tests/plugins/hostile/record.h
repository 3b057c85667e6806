/*
 * record.h - a file with one line for each delivery: "id attempt unix_ms", the time being that of the call.
 *
 * The configuration names it: {"file": "/var/tmp/record"}. Where it names a "clock" too, the time is what stands in that
 * file then. Where it names a "refusal", and there is such a file, deliveries are refused.
 */
#ifndef RECORD_H
#define RECORD_H

#include "hostile.h"

#include <fcntl.h>

static int record_fd = -1;

/* Opens the file. */
static inline int32_t record_open(wp_reply *reply) {
    char path[4096];
    if (!hostile_text("file", path, sizeof path)) {
        reply->note(reply, wp_text("/file"), wp_text("the path of the file to append to is missing"));
        return WP_BAD_CONFIG;
    }
    record_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return record_fd < 0 ? hostile_fail(reply, WP_RETRY, path) : WP_OK;
}

/* The time to write down. */
static inline long long record_now(void) {
    char path[4096], text[32] = "";
    if (!hostile_text("clock", path, sizeof path)) return hostile_unix_ms();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    return length <= 0 ? -1 : atoll(text);
}

/* Appends the line, in one write: a process that is killed leaves whole lines. */
static inline int32_t record_write(const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    char line[512], refusal[4096];
    if (hostile_text("refusal", refusal, sizeof refusal) && access(refusal, F_OK) == 0)
        return wp_fail(reply, WP_PERMANENT, "it takes none");
    int length = snprintf(line, sizeof line, "%.*s %u %lld\n", (int)alert->id.len, alert->id.ptr, call->attempt,
                          record_now());
    if (length < 0 || length >= (int)sizeof line) return wp_fail(reply, WP_PERMANENT, "the alert's id is too long");
    if (write(record_fd, line, (size_t)length) != length) return hostile_fail(reply, WP_RETRY, "cannot write");
    return WP_OK;
}

/* Brings what was appended to the disk. */
static inline int32_t record_sync(wp_reply *reply) {
    return fsync(record_fd) == 0 ? WP_OK : hostile_fail(reply, WP_RETRY, "cannot sync");
}

#endif
