// A worker for bench/orchestration: the least a run can be, so that what is measured is the queue. It takes moelab-worker's command
// line, writes `started` and `finished` into the journal and leaves. As a job of another queue it needs --run-dir only.
//   BENCH_LOG=FILE    appends when it began and ended, in ns: its own time
//   BENCH_WORKER=EXE  runs that with the same arguments in place of the journal lines, and times it
//   BENCH_STAY=1      stays, a step a second, until SIGTERM
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t asked_to_leave = 0;
static void on_signal(int number) {
  (void)number;
  asked_to_leave = 1;
}

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int append(const char* file, const char* text) {
  const int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return 0;
  const int whole = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  close(fd);
  return whole;
}

static int event(const char* journal, int seq, const char* attempt, int step, const char* type, const char* payload) {
  char line[512], when[32];
  const time_t t = time(NULL);
  struct tm utc;
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&t, &utc));
  snprintf(line, sizeof line, "{\"v\":1,\"seq\":%d,\"attempt\":%s,\"step\":%d,\"time\":\"%s\",\"type\":\"%s\"%s}\n", seq, attempt, step,
           when, type, payload);
  return append(journal, line);
}

static int be_short(const char* run_dir, const char* attempt) {
  char journal[4096], payload[256];
  snprintf(journal, sizeof journal, "%s/events.jsonl", run_dir);
  snprintf(payload, sizeof payload, ",\"pid\":%d,\"host\":\"bench\",\"resumed_from_step\":0,\"max_steps\":1", (int)getpid());
  int seq = 0, step = 0;
  if (!event(journal, ++seq, attempt, 0, "started", payload)) return 5;
  while (getenv("BENCH_STAY") && !asked_to_leave) {
    const struct timespec second = {1, 0};
    nanosleep(&second, NULL);
    event(journal, ++seq, attempt, ++step, "metrics", ",\"values\":{\"train/loss\":1.0}");
  }
  event(journal, ++seq, attempt, step, "finished",
        asked_to_leave ? ",\"status\":\"preempted\",\"reason\":\"\",\"message\":\"\""
                       : ",\"status\":\"completed\",\"reason\":\"\",\"message\":\"\",\"values\":{\"eval/loss\":1.0}");
  return asked_to_leave ? 75 : 0;
}

static int run_real(const char* worker, char** argv) {
  const pid_t pid = fork();
  if (pid == 0) {
    execv(worker, argv);
    _exit(127);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char** argv) {
  const long long begin = now_ns();
  signal(SIGTERM, on_signal);
  const char *run_dir = NULL, *attempt = "1";
  for (int i = 1; i + 1 < argc; ++i) {
    if (strcmp(argv[i], "--run-dir") == 0) run_dir = argv[i + 1];
    if (strcmp(argv[i], "--attempt") == 0) attempt = argv[i + 1];
  }
  if (!run_dir) return 2;
  const char *real = getenv("BENCH_WORKER"), *log = getenv("BENCH_LOG");
  const int code = real ? run_real(real, argv) : be_short(run_dir, attempt);
  if (log) {
    char line[64];
    snprintf(line, sizeof line, "%lld %lld\n", begin, now_ns());
    append(log, line);
  }
  return code;
}
