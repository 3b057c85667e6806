/* How the C library looks up names: by its files, by a server for names, and by addresses. */
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <net/if.h>
#include <ifaddrs.h>

int main(void)
{
    const char *names[] = {"localhost", "watchpost.example", "127.0.0.1", "::1", "fe80::1%lo"};
    /* One try of a second each: whether there is a server does not matter to what is called. */
    res_init();
    _res.retrans = 1;
    _res.retry = 1;
    for (unsigned at = 0; at < sizeof names / sizeof *names; at++) {
        for (int flags = 0; flags < 2; flags++) {
            struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags ? AI_ADDRCONFIG | AI_CANONNAME : 0};
            struct addrinfo *found = NULL;
            int code = getaddrinfo(names[at], "https", &hints, &found);
            printf("%s: %s\n", names[at], code ? gai_strerror(code) : "found");
            if (found && code == 0) {
                char host[256];
                getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, NULL, 0, 0);
                int socket_of = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, found->ai_protocol);
                connect(socket_of, found->ai_addr, found->ai_addrlen);
                close(socket_of);
                freeaddrinfo(found);
            }
        }
    }
    struct ifaddrs *interfaces = NULL;
    getifaddrs(&interfaces);
    printf("%u %s\n", if_nametoindex("lo"), gethostbyname("localhost") ? "found" : "not found");
    return 0;
}
