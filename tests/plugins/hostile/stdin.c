/*
 * stdin: reads its standard input to the end, where a careless host has its socket.
 *
 * The hub must: give it an empty one. The delivery is good then; anything read is given up for good.
 */
#include "hostile.h"

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call;
    char bytes[4096];
    ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
    if (count < 0) return hostile_fail(reply, WP_RETRY, "cannot read");
    return count == 0 ? WP_OK : wp_fail(reply, WP_PERMANENT, "there was something to read");
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("stdin", "Reads its standard input."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
