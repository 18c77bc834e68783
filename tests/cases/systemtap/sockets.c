#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
static char bytes[65536];
int main(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(40961) };
	int listening = socket(AF_INET, SOCK_STREAM, 0), calling, called, on = 1;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listening, (void *)&at, sizeof(at)) || listen(listening, 1))
		return 1;
	calling = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(calling, (void *)&at, sizeof(at)))
		return 2;
	called = accept(listening, NULL, NULL);
	send(calling, bytes, 1234, 0);
	recv(called, bytes, 9000, MSG_WAITALL & 0);
	send(called, bytes, 77, 0);
	recv(calling, bytes, 50, 0);
	recv(calling, bytes, 50, 0);
	recv(calling, bytes, 50, MSG_DONTWAIT);
	close(calling);
	recv(called, bytes, 99, 0);
	close(called);
	return 0;
}
