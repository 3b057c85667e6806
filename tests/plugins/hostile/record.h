/*
 * record.h - a file with one line for each delivery: "id attempt unix_ms", the time being that of the call.
 *
 * The configuration names it: {"file": "/var/tmp/record"}.
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

/* Appends the line, in one write: a process that is killed leaves whole lines. */
static inline int32_t record_write(const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    char line[512];
    int length = snprintf(line, sizeof line, "%.*s %u %lld\n", (int)alert->id.len, alert->id.ptr, call->attempt,
                          hostile_unix_ms());
    if (length < 0 || length >= (int)sizeof line) return wp_fail(reply, WP_PERMANENT, "the alert's id is too long");
    if (write(record_fd, line, (size_t)length) != length) return hostile_fail(reply, WP_RETRY, "cannot write");
    return WP_OK;
}

/* Brings what was appended to the disk. */
static inline int32_t record_sync(wp_reply *reply) {
    return fsync(record_fd) == 0 ? WP_OK : hostile_fail(reply, WP_RETRY, "cannot sync");
}

#endif
