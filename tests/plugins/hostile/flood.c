/*
 * flood: writes 4 MiB without a newline to stdout and 4 MiB of short lines to stderr, at every alert.
 *
 * The hub must: read on, no faster than is good for it, and drop: its log and memory stay bounded, and other sinks
 * are not delayed. The delivery itself is good.
 */
#include "hostile.h"

/* To each of the two streams, at each alert. */
#define FLOOD_BYTES ((size_t)4 << 20)
#define BLOCK_BYTES ((size_t)64 << 10)

/* Writes blocks that have a newline every `line` bytes, 0 for none at all. */
static void pour(int fd, size_t line) {
    static char block[BLOCK_BYTES];
    memset(block, 'x', sizeof block);
    for (size_t at = line; line != 0 && at <= sizeof block; at += line) block[at - 1] = '\n';
    for (size_t poured = 0; poured < FLOOD_BYTES; poured += sizeof block) {
        if (write(fd, block, sizeof block) < 0) return;
    }
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    pour(STDOUT_FILENO, 0);
    pour(STDERR_FILENO, 32);
    return WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("flood", "Floods stdout and stderr."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
