// process_vm_readv and process_vm_writev on the process itself.
#include "show.h"
#include <sys/uio.h>

int main(void) {
    char from[16] = "hello, process", to[16] = "";
    struct iovec local = {to, 5}, remote = {from, 5};
    SHOW(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
    show_bytes("to", to, 5);
    memcpy(to, "HELLO", 5);
    SHOW(process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
    show_bytes("from", from, 14);
    remote.iov_base = bad_pointer();
    SHOW(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
    SHOW(process_vm_readv(getpid(), &local, 1, &remote, 1, 7));
    return 0;
}
