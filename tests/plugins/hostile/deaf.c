/*
 * deaf: delivers, and hangs in `destroy` when it is to leave.
 *
 * The hub must: kill it after the grace, so that a stop or a reload takes no longer than that.
 */
#include "hostile.h"

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    return WP_OK;
}

static void destroy(void *self) {
    (void)self;
    for (;;) sleep(1);
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("deaf", "Does not end."),
    .create = hostile_create, .deliver = deliver, .destroy = destroy,
};
