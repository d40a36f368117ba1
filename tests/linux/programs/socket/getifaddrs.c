// The network's interfaces and addresses as the C library finds them.
#include "inet.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <netpacket/packet.h>

static void show_address(const char *what, const struct sockaddr *a) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (!a) return;
    if (a->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, text, sizeof text);
        say("  %s %s", what, text);
    } else if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
        inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
        say("  %s %s scope %u", what, text, six->sin6_scope_id);
    } else if (a->sa_family == AF_PACKET) {
        const struct sockaddr_ll *l = (const struct sockaddr_ll *)a;
        say("  %s interface %d type %d length %d", what, l->sll_ifindex, l->sll_hatype, l->sll_halen);
        for (int i = 0; i < l->sll_halen && i < 8; i++) say("    %02x", l->sll_addr[i]);
    } else say("  %s of family %d", what, a->sa_family);
}

int main(void) {
    struct ifaddrs *all;
    int loopbacks = 0;
    MUST(getifaddrs(&all));
    for (struct ifaddrs *each = all; each; each = each->ifa_next) {
        say("%s flags %#x", each->ifa_name, each->ifa_flags);
        show_address("address", each->ifa_addr);
        show_address("netmask", each->ifa_netmask);
        show_address("other", each->ifa_flags & (IFF_BROADCAST | IFF_POINTOPOINT) ? each->ifa_dstaddr : NULL);
        loopbacks += each->ifa_flags & IFF_LOOPBACK && each->ifa_addr && each->ifa_addr->sa_family == AF_INET;
    }
    freeifaddrs(all);
    SHOW_TRUE(loopbacks > 0);

    struct if_nameindex *names = if_nameindex();
    SHOW_TRUE(names != NULL);
    for (struct if_nameindex *each = names; each && each->if_index; each++) {
        char name[IF_NAMESIZE];
        say("%u %s", each->if_index, each->if_name);
        SHOW_TRUE(if_nametoindex(each->if_name) == each->if_index);
        SHOW_TRUE(if_indextoname(each->if_index, name) == name && !strcmp(name, each->if_name));
    }
    if_freenameindex(names);
    errno = 0;
    SHOW_NUMBER(if_nametoindex("none"));
    SHOW_NUMBER(errno);
    char name[IF_NAMESIZE];
    errno = 0;
    SHOW_TRUE(if_indextoname(1 << 30, name) == NULL);
    SHOW_NUMBER(errno);
    return 0;
}
