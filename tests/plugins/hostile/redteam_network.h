/* redteam_network.h - deeds on the network and on local sockets. */
#ifndef REDTEAM_NETWORK_H
#define REDTEAM_NETWORK_H

#include "redteam.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_in address_of(long port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)port);
    return address;
}

static int socket_of(int family, int type, int protocol) {
    return opened(socket(family, type | SOCK_CLOEXEC, protocol));
}

static int connect_with(long port, int protocol, int option) {
    struct sockaddr_in address = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);
    if (fd < 0) return errno;
    if (option != 0) setsockopt(fd, IPPROTO_TCP, option, &(int){1}, sizeof(int));
    int answer = errno_of(connect(fd, (struct sockaddr *)&address, sizeof address));
    close(fd);
    return answer;
}
static int connect_port(void) { return connect_with(tcp_port, 0, 0); }
static int connect_fast(void) { return connect_with(tcp_port, 0, 30 /* TCP_FASTOPEN_CONNECT */); }
static int connect_multipath(void) { return connect_with(tcp_port, 262 /* MPTCP */, 0); }
static int connect_streams(void) { return connect_with(tcp_port, 132 /* SCTP */, 0); }
static int connect_hub(void) { return connect_with(hub_port, 0, 0); }
static int connect_hub_fast(void) { return connect_with(hub_port, 0, 30); }
static int connect_over_six(void) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)tcp_port)};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int answer = errno_of(connect(fd, (struct sockaddr *)&address, sizeof address));
    close(fd);
    return answer;
}
static int send_fast(void) {
    struct sockaddr_in address = address_of(tcp_port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int answer = errno_of(sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&address, sizeof address));
    close(fd);
    return answer;
}
static int send_message_fast(void) {
    struct sockaddr_in address = address_of(tcp_port);
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int answer = errno_of(sendmsg(fd, &message, MSG_FASTOPEN));
    close(fd);
    return answer;
}
static int listen_anywhere(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int answer = errno_of(listen(fd, 1));
    close(fd);
    return answer;
}
static int bind_tcp(long port) {
    struct sockaddr_in address = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    int answer = errno_of(bind(fd, (struct sockaddr *)&address, sizeof address));
    close(fd);
    return answer;
}
static int bind_some_port(void) { return bind_tcp(0); }
static int bind_other_port(void) { return bind_tcp(tcp_port); }
static int bind_port_of_hub(void) { return bind_tcp(hub_port); }
static int raw_socket(void) { return socket_of(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static int ping_socket(void) { return socket_of(AF_INET, SOCK_DGRAM, IPPROTO_ICMP); }
static int lite_socket(void) { return socket_of(AF_INET, SOCK_DGRAM, 136 /* UDP-Lite */); }
static int smc_socket(void) { return socket_of(AF_INET, SOCK_STREAM, 256 /* SMC */); }
static int packet_socket(void) { return socket_of(AF_PACKET, SOCK_RAW, 0); }
static int audit_socket(void) { return socket_of(AF_NETLINK, SOCK_RAW, 9); }
static int sockets_of_others(void) { return socket_of(AF_NETLINK, SOCK_RAW, 4 /* SOCK_DIAG */); }
static int firewall_socket(void) { return socket_of(AF_NETLINK, SOCK_RAW, 12); }
static int device_socket(void) { return socket_of(AF_NETLINK, SOCK_DGRAM, 15); }
static int crypto_socket(void) { return socket_of(AF_ALG, SOCK_SEQPACKET, 0); }
static int virtual_socket(void) { return socket_of(AF_VSOCK, SOCK_STREAM, 0); }
static int bluetooth_socket(void) { return socket_of(AF_BLUETOOTH, SOCK_RAW, 1); }
static int key_socket(void) { return socket_of(AF_KEY, SOCK_RAW, 2); }
static int can_socket(void) { return socket_of(29, SOCK_RAW, 1); }
static int xdp_socket(void) { return socket_of(44, SOCK_RAW, 0); }
static int cluster_socket(void) { return socket_of(30 /* TIPC */, SOCK_SEQPACKET, 0); }
static int reliable_socket(void) { return socket_of(21 /* RDS */, SOCK_SEQPACKET, 0); }
/* Every other family, whatever the kernel has of them. */
static int odd_sockets(void) {
    for (int family = 2; family < 48; family++) {
        if (family == AF_INET || family == AF_INET6 || family == AF_NETLINK) continue;
        for (int type = SOCK_STREAM; type <= SOCK_PACKET; type++) {
            int answer = socket_of(family, type, 0);
            if (answer != EPERM) return answer;
        }
    }
    return EPERM;
}
static int odd_pairs(void) {
    int pair[2];
    return errno_of(socketpair(AF_INET, SOCK_STREAM, 0, pair));
}
/* A datagram needs no connection: from one of a pair it goes to whoever listens for any. */
static int send_from_pair(int type) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int pair[2];
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", in_victim("datagrams"));
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0) return errno;
    int answer = errno_of(sendto(pair[0], "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address));
    close(pair[0]), close(pair[1]);
    return answer;
}
static int send_datagram(void) { return send_from_pair(SOCK_DGRAM); }
static int send_raw_datagram(void) { return send_from_pair(SOCK_RAW); }
static int connect_local(const struct sockaddr_un *address, size_t length) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int answer = errno_of(connect(fd, (const struct sockaddr *)address, (socklen_t)length));
    close(fd);
    return answer;
}
static int connect_abstract(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strnlen(local_name, sizeof address.sun_path - 1);
    memcpy(address.sun_path + 1, local_name, length);
    return connect_local(&address, sizeof address.sun_family + 1 + length);
}
/* Tells the hub to take all alerts off the list. */
static int command_hub(void) {
    static const char request[] = "POST /v1/alerts/clear HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer[16] = "";
    snprintf(address.sun_path, sizeof address.sun_path, "%.90s/control.sock", data_dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return errno;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0) return EACCES;
    ssize_t length = recv(fd, answer, sizeof answer - 1, 0);
    close(fd);
    return length > 0 && strstr(answer, " 20") != NULL ? 0 : EACCES;
}

static const struct deed network_deeds[] = {
    D(connect_port), D(connect_fast), D(connect_multipath), D(connect_streams), D(connect_over_six), D(connect_hub),
    D(connect_hub_fast), D(send_fast), D(send_message_fast), D(listen_anywhere), D(bind_some_port), D(bind_other_port),
    D(bind_port_of_hub), D(raw_socket), D(ping_socket),
    D(lite_socket), D(smc_socket), D(packet_socket), D(audit_socket), D(sockets_of_others), D(firewall_socket),
    D(device_socket), D(crypto_socket), D(virtual_socket), D(bluetooth_socket), D(key_socket), D(can_socket),
    D(xdp_socket), D(cluster_socket), D(reliable_socket), D(odd_sockets), D(odd_pairs), D(send_datagram), D(send_raw_datagram), D(connect_abstract),
    D(command_hub),
};

#endif
