/*
 * crash: writes through a null pointer at every alert.
 *
 * The hub must: say that the plugin was killed by SIGSEGV, try again with growing pauses, give an alert up after three crashes, and
 * mark the sink failed after five crashes in five minutes.
 */
#include "hostile.h"

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    *(volatile int *)NULL = 1;
    return WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("crash", "Writes through a null pointer."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
