//! Files every alert as a picture and a JSON document below a directory.
