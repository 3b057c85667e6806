/*
 * hang: never comes back from an alert, and does not hear `cancel` or SIGTERM.
 *
 * The hub must: kill it two seconds after the deadline, count the delivery as timed out and try again; nobody else waits for it.
 */
#include "hostile.h"

#include <signal.h>

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    signal(SIGTERM, SIG_IGN);
    while (getpid() != 0) sleep(1);
    return WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("hang", "Never comes back."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
