/* git.exe for programs under wine: runs the system's git by `git-outside`.
 *
 * wine can start a Unix program, but cannot give it pipes or wait for its end. So input and output go
 * through files, and the file with the exit status is written last.
 */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <windows.h>

static wchar_t base[MAX_PATH], line[32768];

static FILE *file(const wchar_t *extension, const wchar_t *mode) {
    wchar_t path[MAX_PATH + 8];
    _snwprintf(path, MAX_PATH + 8, L"%ls.%ls", base, extension);
    return _wfopen(path, mode);
}

static void copy(FILE *from, FILE *to) {
    char bytes[65536];
    size_t size;
    _setmode(_fileno(from), _O_BINARY);
    _setmode(_fileno(to), _O_BINARY);
    while ((size = fread(bytes, 1, sizeof bytes, from)) > 0) fwrite(bytes, 1, size, to);
    fflush(to);
}

int main(void) {
    wchar_t *arguments = GetCommandLineW(), temporary[MAX_PATH];
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION process;
    FILE *in, *status_file;
    int status;

    /* The arguments after the name of this program. */
    if (*arguments == '"')
        arguments = wcschr(arguments + 1, '"') + 1;
    else
        while (*arguments && *arguments != ' ') arguments++;

    GetTempPathW(MAX_PATH, temporary);
    GetTempFileNameW(temporary, L"git", 0, base);
    in = file(L"in", L"wb");
    if (GetFileType(GetStdHandle(STD_INPUT_HANDLE)) == FILE_TYPE_PIPE) copy(stdin, in);
    fclose(in);
    _snwprintf(line, 32767, L"%ls %ls%ls", _wgetenv(L"OUTSIDE_GIT"), base, arguments);
    if (!CreateProcessW(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &process)) return 126;
    while (!(status_file = file(L"status", L"r"))) Sleep(1);
    if (fscanf(status_file, "%d", &status) != 1) return 126;
    copy(file(L"out", L"rb"), stdout);
    copy(file(L"err", L"rb"), stderr);
    return status;
}
