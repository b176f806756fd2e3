echo "{\"report\": $(cat "$TREADLE_INPUT_FILE")}" > "$TREADLE_RESULT_FILE"
