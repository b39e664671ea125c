"""What can be wrong with a message: number, status for the client, fixed word for the log."""

cdef struct Row:
    int status
    const char* name

cdef Row rows[FAULT_COUNT]


cdef int row(int fault, int status, const char* name) except -1:
    if rows[fault].name != NULL:
        raise AssertionError(f"fault {fault} has two rows")
    rows[fault].status = status
    rows[fault].name = name
    return 0


row(FAULT_NONE, 200, b"none")
row(FAULT_METHOD_INVALID, 400, b"method_invalid")
row(FAULT_URI_TOO_LONG, 414, b"uri_too_long")
row(FAULT_HEAD_TOO_LARGE, 431, b"head_too_large")
row(FAULT_TOO_MANY_FIELDS, 431, b"too_many_fields")
row(FAULT_CHUNK, 400, b"chunk_invalid")
row(FAULT_TRAILERS, 431, b"trailers_too_large")
row(FAULT_BARE_LF, 400, b"bare_lf")
row(FAULT_BARE_CR, 400, b"bare_cr")
row(FAULT_METHOD_TOO_LONG, 501, b"method_too_long")          # RFC 9112 3: longer than any implemented
row(FAULT_METHOD_REFUSED, 405, b"method_refused")            # CONNECT: this is no forward proxy
row(FAULT_TARGET_INVALID, 400, b"target_invalid")
row(FAULT_TARGET_FORM, 400, b"target_form_invalid")
row(FAULT_TARGET_USERINFO, 400, b"target_userinfo")          # RFC 9110 4.2.4: as good as phishing
row(FAULT_VERSION_MISSING, 400, b"version_missing")          # HTTP/0.9
row(FAULT_VERSION_INVALID, 400, b"version_invalid")
row(FAULT_VERSION_UNSUPPORTED, 505, b"version_unsupported")
row(FAULT_STATUS_LINE, 502, b"status_line_invalid")
row(FAULT_STATUS_CODE, 502, b"status_code_invalid")
row(FAULT_REASON_INVALID, 502, b"reason_invalid")
row(FAULT_FIELD_NAME_INVALID, 400, b"field_name_invalid")
row(FAULT_FIELD_NAME_EMPTY, 400, b"field_name_empty")        # CVE-2023-25725
row(FAULT_FIELD_NAME_TOO_LONG, 431, b"field_name_too_long")  # CVE-2021-40346
row(FAULT_SPACE_BEFORE_COLON, 400, b"space_before_colon")
row(FAULT_OBS_FOLD, 400, b"obs_fold")
row(FAULT_FIELD_VALUE_INVALID, 400, b"field_value_invalid")
row(FAULT_CONTENT_LENGTH_INVALID, 400, b"content_length_invalid")
row(FAULT_CONTENT_LENGTH_REPEATED, 400, b"content_length_repeated")
row(FAULT_LENGTH_AND_ENCODING, 400, b"length_and_encoding")
row(FAULT_TRANSFER_ENCODING_INVALID, 400, b"transfer_encoding_invalid")
row(FAULT_TRANSFER_ENCODING_UNKNOWN, 501, b"transfer_encoding_unknown")
row(FAULT_TRANSFER_ENCODING_IN_1_0, 400, b"transfer_encoding_in_http10")
row(FAULT_HOST_MISSING, 400, b"host_missing")
row(FAULT_HOST_REPEATED, 400, b"host_repeated")
row(FAULT_HOST_INVALID, 400, b"host_invalid")
row(FAULT_EXPECTATION_UNKNOWN, 417, b"expectation_unknown")

cdef int each
for each in range(FAULT_COUNT):
    if rows[each].name == NULL:
        raise AssertionError(f"fault {each} has no row")


cdef int fault_status(int fault) noexcept nogil:
    return rows[fault].status if 0 <= fault < FAULT_COUNT else 400


cdef const char* fault_name(int fault) noexcept nogil:
    return rows[fault if 0 <= fault < FAULT_COUNT else FAULT_NONE].name


# -- the face for tests --------------------------------------------------------------------

def faults():
    """Return {name: (number, status)} of every fault."""
    return {rows[i].name.decode(): (i, rows[i].status) for i in range(FAULT_NONE + 1, FAULT_COUNT)}
