// nginx alone writes its name into `Server`, and can't leave the field out. Where the module headers-more is missing, as in nginx's
// own image, its script module puts a word there that names nothing. headers.conf asks for the value, and sends no field with it.
function answer(r) {
    r.headersOut.Server = "-";
    return "";
}

export default { answer };
