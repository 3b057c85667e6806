/*
 * fdleak: opens files until it may open no more, and never closes one.
 *
 * The hub must: keep its own descriptors, and other sinks theirs. Once the process cannot take in another picture it is to be started
 * anew.
 */
#include "hostile.h"

#include <fcntl.h>

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call;
    while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) continue;
    return hostile_fail(reply, WP_RETRY, "cannot open another file");
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("fdleak", "Leaks file descriptors."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
